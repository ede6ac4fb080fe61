/** What the tasks of a cluster wrote, in `logs/` of the output folder by step and task. */
import { open } from "node:fs/promises";
import type { StepName } from "./contract.ts";
import { logPath } from "./steps.ts";

/** As much of the end of a log is looked at. */
const END_BYTES = 64 << 10;

/** The end of the log of a task's last attempt. */
export interface LastAttempt {
  readonly path: string;
  readonly lines: readonly string[];
  /** exit status of doremi; null where the log does not come to it */
  readonly status: number | null;
}

export async function lastAttempt(output: string, step: StepName, task: number): Promise<LastAttempt> {
  const path = logPath(output, step, task);
  const lines = (await readEnd(path)).split("\n").filter((line) => line.trim() !== "");
  const start = lines.findLastIndex((line) => line.startsWith("=== ") && !line.startsWith("=== exit"));
  const own = lines.slice(start + 1);
  const end = own.findLast((line) => line.startsWith("=== exit status "));
  return { path, lines: own, status: end === undefined ? null : Number(end.slice("=== exit status ".length)) };
}

/** "" where there is no such file. */
async function readEnd(path: string): Promise<string> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!file) return "";
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - END_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
