/** TensorBoard's event files, kept up to date beside a run of this process or of another one. */
import { setTimeout as wait } from "node:timers/promises";
import { RunFollower } from "../report/live/follow.ts";
import { TensorboardFolder, type WrittenTraining } from "../report/tensorboard.ts";
import type { StageEvent } from "../stages/stage.ts";

const EVERY_MS = 2000;
/** A file that is just being replaced is whole at the next look: only what lasts is a fault. */
const FAULTS_LIMIT = 3;

/**
 * Writes the event files while `work` goes on, and once more when it has ended, well or not. What hinders them is told and
 * hinders nothing else.
 */
export async function besideTensorboard<T>(
  { run, folder, onEvent }: { readonly run: string; readonly folder: string; onEvent(event: StageEvent): void },
  work: () => Promise<T>,
): Promise<T> {
  const writer = new TensorboardFolder(run, folder);
  const ended = new AbortController();
  const writing = (async () => {
    for (let faults = 0; ; ) {
      const isLast = ended.signal.aborted;
      try {
        await writer.update();
        faults = 0;
      } catch (error) {
        if (++faults === FAULTS_LIMIT || isLast) {
          const message = `no more event files are written: ${(error as Error).message}`;
          onEvent({ type: "note", stage: "tensorboard", message });
          break;
        }
      }
      if (isLast) break;
      await wait(EVERY_MS, undefined, { signal: ended.signal }).catch(() => {});
    }
    await writer.close().catch(() => {});
  })();
  try {
    return await work();
  } finally {
    ended.abort();
    await writing;
  }
}

/**
 * Writes the event files of a run of any process until it is over.
 *
 * @param follow false: as it is now, and leave
 * @throws DoremiError as TensorboardFolder.update
 */
export async function writeTensorboard(
  run: string,
  folder: string,
  { follow, signal }: { readonly follow: boolean; readonly signal: AbortSignal },
): Promise<WrittenTraining[]> {
  const writer = new TensorboardFolder(run, folder);
  const follower = new RunFollower(run, { points: 4 });
  try {
    for (;;) {
      const { state } = await follower.read();
      const goesOn = follow && !signal.aborted && (state === "running" || state === "waiting");
      const written = await writer.update(); // after the state, so that the last one has everything
      if (!goesOn) return written;
      await wait(EVERY_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    await writer.close();
  }
}
