/**
 * The folder of a set that is being materialized: what it may hold before, and the state in it that an interrupted run
 * leaves for the next one.
 *
 *     <output>/.doremi/settings.json    whose set this is going to be
 *     <output>/.doremi/runs.bin         the selection by bucket; whole when the plan is there
 *     <output>/.doremi/plan.json
 *     <output>/.doremi/read-<n>.json    bucket n is spilled (read-<n>.spill, .index)
 *     <output>/.doremi/write-<n>.json   shard n is in place
 *     <output>/.doremi/put-<n>.json     and in the object store that the set goes to
 */
import { readdir, readFile, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { sha256Json } from "../../lib/hash.ts";
import { makeFolder } from "../../lib/make-folder.ts";
import {
  loadMaterialized,
  MATERIALIZED_NAME,
  type MaterializedFile,
  type MaterializedSet,
} from "../../manifest/materialized.ts";
import type { MaterializePlan, MaterializeSettings } from "./plan.ts";

/** Raised when the same manifest and settings would give other bytes. */
const VERSION = 1;

export const STATE_FOLDER = ".doremi";

/** Names the set that a manifest and settings make. */
export function setKey(manifestSha256: string, settings: MaterializeSettings): string {
  return sha256Json({ version: VERSION, manifest: manifestSha256, settings });
}

export class SetState {
  readonly folder: string;
  readonly key: string;

  /** @param output absolute */
  constructor(output: string, key: string) {
    this.folder = join(output, STATE_FOLDER);
    this.key = key;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Undefined where the plan was not finished. */
  async plan(): Promise<MaterializePlan | undefined> {
    const plan = await readJson<MaterializePlan>(this.path("plan.json"));
    return plan?.key === this.key ? plan : undefined;
  }

  /** Is the folder claimed for this set? */
  async isClaimed(): Promise<boolean> {
    return (await readJson<{ key: string }>(this.path("settings.json")))?.key === this.key;
  }

  /** The marks of one half that are there, by number. */
  async marks<T>(half: "read" | "write" | "put"): Promise<Map<number, T>> {
    const marks = new Map<number, T>();
    for (const name of await readdir(this.folder)) {
      const number = new RegExp(`^${half}-(\\d+)\\.json$`).exec(name)?.[1];
      const mark = number === undefined ? undefined : await readJson<T>(this.path(name));
      if (mark !== undefined) marks.set(Number(number), mark);
    }
    return marks;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The finished set of this key in the folder; undefined where there is none. @throws DoremiError other-set */
export async function finishedSet(output: string, key: string): Promise<MaterializedSet | undefined> {
  if ((await sizeOf(join(output, MATERIALIZED_NAME))) === undefined) return undefined;
  const set = await loadMaterialized(output);
  if (set.key !== key) throw otherSet(output, "a set of another manifest or other settings");
  return (await areThere(output, setFilesOf(set))) ? set : undefined;
}

/** Relative to the record. */
export function setFilesOf(set: MaterializedSet): MaterializedFile[] {
  return [...set.groups.flatMap((group) => group.shards).flatMap((shard) => shard.files), ...set.files];
}

/** Files named relative to a group's folder, relative to the set's. */
export function inFolder(folder: string, files: readonly MaterializedFile[]): MaterializedFile[] {
  return files.map((file) => ({ ...file, path: folder === "." ? file.path : `${folder}/${file.path}` }));
}

/** In their sizes. */
export async function areThere(folder: string, files: readonly MaterializedFile[]): Promise<boolean> {
  for (const { path, size } of files) if ((await sizeOf(join(folder, path))) !== size) return false;
  return true;
}

/**
 * Makes the folder ready for the set, or for going on with it.
 * @throws DoremiError other-set where it holds something else
 */
export async function claimFolder(output: string, state: SetState, settings: MaterializeSettings): Promise<void> {
  const claim = await readJson<{ key: string }>(state.path("settings.json"));
  if (claim === undefined) {
    const found = (await readdir(output)).find((name) => name !== STATE_FOLDER && name !== MATERIALIZED_NAME);
    if (found !== undefined && (await sizeOf(join(output, MATERIALIZED_NAME))) === undefined) {
      throw otherSet(output, `${found}, which no unfinished set put there`);
    }
    await writeFileAtomic(state.path("settings.json"), `${JSON.stringify({ key: state.key, settings })}\n`);
  } else if (claim.key !== state.key) {
    throw otherSet(output, "an unfinished set of another manifest or other settings");
  }
}

function otherSet(output: string, found: string): DoremiError {
  return new DoremiError(
    "bad-configuration",
    "other-set",
    `${output}: must be empty, or hold what an interrupted run of the same command left; it holds ${found}; choose ` +
      "another --output, or delete this folder",
    { file: output },
  );
}

/** What writes that were cut off left in the folders of the groups. */
export async function sweep(output: string, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    await makeFolder(join(output, folder));
    for (const name of await readdir(join(output, folder))) {
      if (/\.(tmp|part)$/.test(name)) await rm(join(output, folder, name), { force: true });
    }
  }
}

/**
 * @param needed bytes of the spilled documents and the set together, about
 * @throws DoremiError disk-full before anything is written that would not fit
 */
export async function checkSpace(output: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(output);
  const free = bavail * bsize + (await bytesUnder(output));
  if (needed <= free) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new DoremiError(
    "cannot-write",
    "disk-full",
    `${output}: the set and what is needed to put it in order take about ${gigabytes(needed)} together, and there are ` +
      `${gigabytes(free)} for them; free some, or choose another --output`,
    { file: output },
  );
}

async function bytesUnder(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await sizeOf(join(entry.parentPath, entry.name))) ?? 0;
  }
  return bytes;
}

/** Undefined where there is no such file. */
async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(absent))?.size;
}

/** Undefined where there is no such file, or it is not whole. */
async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readFile(path, "utf8").catch(absent);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
  return undefined;
}
