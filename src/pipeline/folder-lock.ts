/**
 * One run at a time in an output folder, also where processes of several containers or machines share it.
 *
 *     <folder>/lock.<n>    a claim: of the run that holds the folder, or left by one that is gone
 *
 * A run that finds no claim but dead ones makes the next higher, which the system lets only one do; looks again, and
 * holds the folder if all other claims are still the dead ones that it knew; and then clears those away. So nobody who
 * looked too long ago gets in, and a claim of the living is never in danger. (Moving a stale lock away to make room
 * would not do: by then it may be the next run's.) A claim of another machine is dead by its time alone, so it is watched for
 * some heartbeats before: a clock that jumps hands no folder of the living over.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
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
  /** of a Slurm cluster, which runs a job at one place at a time */
  readonly job?: ScheduledJob;
}

interface ScheduledJob {
  readonly id: string;
  /** how often it was put back into the queue */
  readonly restart: number;
}

/** Who holds a folder, and what to do about it, in words. */
interface LivingHolder {
  readonly text: string;
  /** it runs where it cannot be looked up, so that it may be gone */
  readonly elsewhere: boolean;
}

/** A lock file as it was read. */
interface Claim {
  readonly number: number;
  readonly text: string;
  readonly modifiedMs: number;
}

/** A claim that nothing but its time says to be dead is watched for so many heartbeats. */
const WATCHED_BEATS = 2.5;

/** Every attempt that fails means that another run was faster, so this many in a row is a busy folder. */
const ATTEMPTS = 20;

export interface LockOptions {
  /**
   * True in a job of a cluster: it may come after one whose node failed, so it waits as long as the sign of life of a
   * holder elsewhere may still be that of the dead.
   */
  readonly waits?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * @param folder exists; the locks go into it
 * @param subject what they lock, for messages
 * @throws DoremiError bad-configuration, code locked, when another run holds it
 */
export async function lockFolder(
  folder: string,
  subject = folder,
  timing = LOCK_TIMING,
  { waits = false, signal }: LockOptions = {},
): Promise<FolderLock> {
  const deadline = performance.now() + (waits ? timing.staleMs + 2 * timing.heartbeatMs : 0);
  const watched: Claim[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const dead = await readClaims(folder);
    const holders = await Promise.all(dead.map((claim) => holderOf(claim, folder, timing)));
    const holder = holders.find((found) => found !== undefined && found !== "silent");
    const silent = dead.filter((claim, i) => holders[i] === "silent" && !watched.some((known) => isSame(known, claim)));
    if (!holder && silent.length > 0) {
      // It may be the clock that jumped: who lives gives a sign meanwhile.
      watched.push(...silent);
      attempt--;
      await wait(WATCHED_BEATS * timing.heartbeatMs, undefined, { signal });
      continue;
    }
    if (holder) {
      if (!holder.elsewhere || performance.now() >= deadline) throw locked(subject, holder.text);
      attempt--; // nobody was faster
      await wait(timing.heartbeatMs / 2, undefined, { signal });
      continue;
    }
    const path = claimPath(folder, 1 + Math.max(0, ...dead.map((claim) => claim.number)));
    const handle = await open(path, "wx").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return undefined;
      throw error;
    });
    if (!handle) continue;
    try {
      const others = (await readClaims(folder)).filter((claim) => claimPath(folder, claim.number) !== path);
      if (others.every((other) => dead.some((known) => isSame(known, other)))) {
        for (const { number } of others) await rm(claimPath(folder, number), { force: true });
        return await hold(path, handle, subject, timing);
      }
    } catch (error) {
      await withdraw(path, handle);
      throw error;
    }
    await withdraw(path, handle);
    await wait(Math.random() * 20); // two that are in each other's way do not meet again
  }
  throw locked(subject, "several others are starting; start this one again");
}

function claimPath(folder: string, number: number): string {
  return join(folder, `lock.${number}`);
}

async function withdraw(path: string, handle: FileHandle): Promise<void> {
  await handle.close();
  await rm(path, { force: true });
}

async function readClaims(folder: string): Promise<Claim[]> {
  const numbers = (await readdir(folder)).flatMap((name) => /^lock\.(\d+)$/.exec(name)?.[1] ?? []);
  const claims = await Promise.all(numbers.map((number) => readClaim(folder, Number(number))));
  return claims.filter((claim) => claim !== undefined);
}

/** Undefined when it is gone. */
async function readClaim(folder: string, number: number): Promise<Claim | undefined> {
  const handle = await open(claimPath(folder, number), "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!handle) return undefined;
  try {
    const text = await handle.readFile("utf8");
    return { number, text, modifiedMs: (await handle.stat()).mtimeMs };
  } finally {
    await handle.close();
  }
}

/** Not even a sign of life in between. */
function isSame(a: Claim, b: Claim): boolean {
  return a.number === b.number && a.text === b.text && a.modifiedMs === b.modifiedMs;
}

async function hold(path: string, handle: FileHandle, subject: string, timing: LockTiming): Promise<FolderLock> {
  const content = canonicalJson(await ownHolder());
  const signOfLife = async () => {
    await handle.write(content, 0, "utf8"); // through the open file: the name may be another's by now
    await handle.datasync(); // the clock of the file system sets its time, not ours
  };
  await signOfLife();
  const lost = new AbortController();
  const beat = async () => {
    await signOfLife();
    if (!(await isOwn(path, content))) lost.abort(takenOver(subject, timing));
  };
  let beating: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    // One that fails (a full disk, a server away for a while) is made up for by the next.
    beating = beating.then(beat).catch(() => {});
  }, timing.heartbeatMs).unref();
  const atExit = () => {
    try {
      if (readFileSync(path, "utf8") === content) rmSync(path);
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
      await handle.close();
      if (await isOwn(path, content)) await rm(path, { force: true });
    },
  };
}

async function isOwn(path: string, content: string): Promise<boolean> {
  const found = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return found === content;
}

/** Whose living claim it is; undefined for a dead one, or when it is gone; silent where only its time says that it is dead. */
async function holderOf(
  found: Claim,
  folder: string,
  { staleMs }: LockTiming,
): Promise<LivingHolder | "silent" | undefined> {
  let claim: Claim | undefined = found;
  // A run that is just making its claim has not written it yet.
  for (let again = 0; claim && parseHolder(claim.text) === undefined && again < 5; again++) {
    await wait(20);
    claim = await readClaim(folder, found.number);
  }
  if (!claim) return undefined;
  const holder = parseHolder(claim.text);
  const own = scheduledJob();
  // The scheduler began this job again, so it is over where it was before.
  if (own && holder?.job?.id === own.id && holder.job.restart < own.restart) return undefined;
  const here = holder !== undefined && holder.system === (await systemName());
  const started = here ? await startOf(holder.pid) : null;
  const known = here && started !== null && holder.started !== null;
  if (known && started === holder.started) {
    return { text: `process ${holder.pid} does now; wait for it, or stop it`, elsewhere: false };
  }
  if (known || (here && !processExists(holder.pid))) return undefined;
  const silentMs = (await clockOf(folder)) - claim.modifiedMs;
  if (silentMs > staleMs) return "silent";
  const who = holder ? `process ${holder.pid} on ${holder.host}` : "another";
  return {
    text:
      `${who} does now, with a sign of life ${seconds(silentMs)} ago; wait for it; if it is gone, the folder is free ` +
      `${seconds(staleMs)} after its last sign of life`,
    elsewhere: true,
  };
}

/** Undefined outside of Slurm. */
function scheduledJob(): ScheduledJob | undefined {
  const { SLURM_JOB_ID: id, SLURM_CLUSTER_NAME: cluster = "", SLURM_RESTART_COUNT: restart = "0" } = process.env;
  return id === undefined ? undefined : { id: `${cluster} ${id}`, restart: Number(restart) };
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
  const job = scheduledJob();
  const place = { system: await systemName(), host: hostname(), pid, started: await startOf(pid) };
  return { ...place, token: randomUUID(), ...(job && { job }) };
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 1000))} s`;
}

function locked(subject: string, holder: string): DoremiError {
  return new DoremiError(
    "bad-configuration",
    "locked",
    `${subject}: one run at a time writes into an output folder, and ${holder}`,
    { file: subject },
  );
}

/** Does the error say that another run holds the folder? */
export function isLocked(error: unknown): boolean {
  return error instanceof DoremiError && error.code === "locked";
}

function takenOver(subject: string, { staleMs }: LockTiming): DoremiError {
  return new DoremiError(
    "interrupted",
    "lock-lost",
    `${subject}: this run's lock on its output folder is gone; another run took it over after ${seconds(staleMs)} without a ` +
      "sign of life (was this one suspended?), or somebody deleted it; let the other finish, then run the same command again",
    { file: subject },
  );
}
