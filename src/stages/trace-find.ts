/** Where the recording of a proxy is, when a run's or a stage's folder is named rather than the file. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DoremiError, withPlace } from "../lib/errors.ts";
import { TRACE } from "./trace.ts";
import { openRecording } from "./trace-read.ts";
import { TRAJECTORY } from "./trajectory.ts";

/**
 * The file itself; of a folder its trace, or where it keeps none its trajectory; of a run that of its only proxy.
 * @throws DoremiError missing-file, no-recording, several-recordings
 */
export async function findRecording(path: string): Promise<string> {
  const found = await stat(path).catch((error: unknown) => {
    throw withPlace(error, { file: path });
  });
  if (!found.isDirectory()) return path;
  const inside = await recordingOf(path);
  if (inside !== undefined) return inside;
  const folders = (await readdir(path, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name)
    .sort();
  const recordings: string[] = [];
  for (const folder of folders) {
    const recording = await recordingOf(join(path, folder));
    if (recording !== undefined) recordings.push(recording);
  }
  const [first, ...others] = recordings;
  if (first === undefined) {
    throw new DoremiError(
      "missing-input",
      "no-recording",
      `${path}: must hold the ${TRACE} or the ${TRAJECTORY} of a proxy, and holds neither; name the output folder of a run whose proxy is trained`,
      { file: path },
    );
  }
  if (others.length > 0) {
    throw new DoremiError(
      "usage",
      "several-recordings",
      `${path}: holds ${recordings.length} proxies; name one of ${recordings.join(", ")}`,
      { file: path },
    );
  }
  return first;
}

async function recordingOf(folder: string): Promise<string | undefined> {
  const names = new Set(await readdir(folder));
  if (names.has(TRACE)) return join(folder, TRACE);
  const trajectory = join(folder, TRAJECTORY);
  return names.has(TRAJECTORY) && (await isOfProxy(trajectory)) ? trajectory : undefined;
}

/** A reference has a trajectory too. */
async function isOfProxy(trajectory: string): Promise<boolean> {
  try {
    await (await openRecording(trajectory)).close();
    return true;
  } catch (error) {
    if (error instanceof DoremiError && error.code === "not-a-trace") return false;
    throw error;
  }
}
