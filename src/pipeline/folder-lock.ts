/**
 * One run at a time in an output folder, also where processes of several containers or machines share it.
 *
 *     <folder>/lock.<n>    the highest n counts: held by a run, released, or left by a run that is gone
 *
 * A run takes a lock.<n> that is free by creating lock.<n+1>, which the system lets only one do. Numbers never start
 * again, so whoever looked too long ago meets a higher one and has lost; and no file that may be another's live lock is
 * ever moved, written or deleted. (Moving a stale lock away would not do: by then it may be the next run's.)
 */
import { randomUUID } from "node:crypto";
import { ftruncateSync, writeSync } from "node:fs";
import { type FileHandle, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { DoremiError } from "../lib/errors.ts";
import { canonicalJson } from "../lib/hash.ts";
import { processExists, startOf, systemName } from "../lib/process-identity.ts";

export interface FolderLock {
  /** Aborted, with a DoremiError for its reason, when another run took the folder over. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

export interface LockTiming {
  /** between two signs of life */
  readonly heartbeatMs: number;
  /** a run that cannot be looked up here and gave no sign of life for this long is gone; several heartbeats */
  readonly staleMs: number;
}

export const LOCK_TIMING: LockTiming = { heartbeatMs: 10_000, staleMs: 120_000 };

/** What a lock says of its run. */
interface Holder {
  /** where process numbers mean the same */
  readonly system: string;
  readonly host: string;
  readonly pid: number;
  /** when the process began, so that a reused number is told apart; null where the system does not say */
  readonly started: string | null;
  readonly token: string;
}

const RELEASED = canonicalJson({ released: true });

/** Every attempt that fails means that another run got further, so this many in a row is a busy folder. */
const ATTEMPTS = 20;

/**
 * @param folder exists
 * @throws DoremiError bad-configuration, code locked, when another run holds it
 */
export async function lockFolder(folder: string, timing: LockTiming = LOCK_TIMING): Promise<FolderLock> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const last = await highestLock(folder);
    if (last > 0) {
      const found = await examine(folder, last, timing);
      if (found === "gone") continue; // a later one replaced it
      if (found !== "free") throw found;
    }
    const path = lockPath(folder, last + 1);
    const handle = await open(path, "wx").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return undefined;
      throw error;
    });
    if (!handle) continue;
    if ((await highestLock(folder)) > last + 1) {
      await handle.close();
      await rm(path, { force: true });
      continue;
    }
    try {
      return await hold(folder, last + 1, handle, timing);
    } catch (error) {
      await handle.close();
      await rm(path, { force: true });
      throw error;
    }
  }
  throw locked(folder, "several others are starting", "start it again");
}

function lockPath(folder: string, number: number): string {
  return join(folder, `lock.${number}`);
}

async function lockNumbers(folder: string): Promise<number[]> {
  return (await readdir(folder)).flatMap((name) => /^lock\.(\d+)$/.exec(name)?.[1] ?? []).map(Number);
}

/** 0 when there is none. */
async function highestLock(folder: string): Promise<number> {
  return Math.max(0, ...(await lockNumbers(folder)));
}

async function hold(folder: string, number: number, handle: FileHandle, timing: LockTiming): Promise<FolderLock> {
  const content = canonicalJson(await ownHolder());
  // Always through the open file: by its name, another run's lock could be written.
  const write = async (text: string) => {
    await handle.write(text, 0, "utf8");
    await handle.datasync(); // the file system's clock sets the time, not ours
  };
  await write(content);
  for (const earlier of await lockNumbers(folder)) {
    if (earlier < number) await rm(lockPath(folder, earlier), { force: true }).catch(() => {}); // only in nobody's way
  }

  const lost = new AbortController();
  const beat = async () => {
    await write(content);
    const last = await highestLock(folder);
    const current = last === 0 ? content : await readFile(lockPath(folder, last), "utf8");
    if (current !== content) lost.abort(takenOver(folder, timing));
  };
  let beating: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    // A sign of life that fails (a full disk, a server away for a while) is given again with the next one.
    beating = beating.then(beat).catch(() => {});
  }, timing.heartbeatMs).unref();
  const atExit = () => {
    try {
      writeSync(handle.fd, RELEASED, 0);
      ftruncateSync(handle.fd, RELEASED.length);
    } catch {
      // The next run will see that this process is gone.
    }
  };
  process.once("exit", atExit);
  return {
    lost: lost.signal,
    async release() {
      clearInterval(timer);
      process.off("exit", atExit);
      await beating;
      try {
        await write(RELEASED);
        await handle.truncate(RELEASED.length);
      } finally {
        await handle.close();
      }
    },
  };
}

/** Whether a lock can be taken over; the error to throw when it cannot. */
async function examine(folder: string, number: number, timing: LockTiming): Promise<"free" | "gone" | DoremiError> {
  const path = lockPath(folder, number);
  let read = await readLock(path);
  // A run that is just taking or releasing it has not written all of it yet.
  for (let again = 0; read && read.holder === undefined && again < 5; again++) {
    await wait(20);
    read = await readLock(path);
  }
  if (!read) return "gone";
  const { holder, modifiedMs } = read;
  if (holder === "released") return "free";
  const here = holder !== undefined && holder.system === (await systemName());
  const started = here ? await startOf(holder.pid) : null;
  const known = here && started !== null && holder.started !== null;
  if (known && started === holder.started) {
    return locked(folder, `process ${holder.pid} does`, "wait for it, or stop it");
  }
  if (known || (here && !processExists(holder.pid))) return "free";
  const silentMs = (await clockOf(folder)) - modifiedMs;
  if (silentMs > timing.staleMs) return "free";
  return locked(
    folder,
    `${holder ? `process ${holder.pid} on ${holder.host}` : "another"} does, with a sign of life ${seconds(silentMs)} ago`,
    `wait for it; if it is gone, this folder is free ${seconds(timing.staleMs)} after its last sign of life`,
  );
}

async function readLock(
  path: string,
): Promise<{ holder: Holder | "released" | undefined; modifiedMs: number } | undefined> {
  const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!handle) return undefined;
  try {
    const text = await handle.readFile("utf8");
    const { mtimeMs } = await handle.stat();
    return { holder: text === RELEASED ? "released" : parseHolder(text), modifiedMs: mtimeMs };
  } finally {
    await handle.close();
  }
}

/** Undefined for what is not whole. */
function parseHolder(text: string): Holder | undefined {
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return undefined;
  }
}

/** Now, by the clock that sets the times of files in this folder, which may be a server's. */
async function clockOf(folder: string): Promise<number> {
  const path = join(folder, `clock.${randomUUID()}.tmp`);
  try {
    await writeFile(path, "now");
    return (await stat(path)).mtimeMs;
  } finally {
    await rm(path, { force: true });
  }
}

async function ownHolder(): Promise<Holder> {
  const { pid } = process;
  return { system: await systemName(), host: hostname(), pid, started: await startOf(pid), token: randomUUID() };
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 1000))} s`;
}

function locked(folder: string, who: string, remedy: string): DoremiError {
  return new DoremiError(
    "bad-configuration",
    "locked",
    `${folder}: one run at a time writes into an output folder, and ${who}; ${remedy}`,
    { file: folder },
  );
}

function takenOver(folder: string, { staleMs }: LockTiming): DoremiError {
  return new DoremiError(
    "interrupted",
    "lock-lost",
    `${folder}: another run took this output folder over, because this one gave no sign of life for ${seconds(staleMs)} ` +
      "(was it suspended?); let the other finish, then run the same command again",
    { file: folder },
  );
}
