/**
 * The output folder: whose it is, and which stages in it are complete.
 *
 *     <output>/.doremi/run.json       made by this pipeline
 *     <output>/.doremi/lock.<n>       that one run at a time writes into it, see folder-lock.ts
 *     <output>/.doremi/work/<stage>-<key>/   what a stage is writing, or an interrupted one left
 *     <output>/<stage>/               complete, with done.json: its key, its output, the hash of every file, its own hash
 *
 * A stage's folder appears by one rename, so there is never half of one.
 */
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { sync, writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { canonicalJson, sha256File, sha256Json } from "../lib/hash.ts";
import { makeFolder } from "../lib/make-folder.ts";
import { isInside, relativePath } from "../lib/relative-path.ts";
import { type FolderLock, isLocked, LOCK_TIMING, type LockOptions, lockFolder } from "./folder-lock.ts";

const STATE = ".doremi";
const DONE = "done.json";

/** The mark is there within moments of the lock. */
const CLAIM_ATTEMPTS = 100;
const CLAIM_PAUSE_MS = 100;

/** A mark may come with a folder of somebody else's: what it names lies in the folder. */
const insidePath = z.string().refine((path) => isInside(path));

const doneMark = z.looseObject({
  stage: z.string(),
  /** of the stage that made it */
  version: z.number(),
  key: z.string(),
  output: z.unknown(),
  /** every other file of the folder, sorted by path */
  files: z.array(z.looseObject({ path: insidePath, size: z.number(), sha256: z.string() })),
  sha256: z.string(),
});

export type DoneMark = Pick<z.output<typeof doneMark>, "stage" | "version" | "key" | "output" | "files">;

export class OutputFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes the folder this pipeline's and locks it.
   *
   * @throws DoremiError bad-configuration: other-pipeline, foreign-folder, not-a-folder, locked
   */
  async open(pipelineName: string, options: LockOptions = {}): Promise<FolderLock> {
    await this.#refuseForeign(pipelineName); // before anything is written into somebody's folder
    const state = join(this.path, STATE);
    await makeFolder(state);
    const lock = await lockFolder(state, this.path, LOCK_TIMING, options);
    try {
      // Again, because another pipeline may have taken the folder in between; from here on nobody can.
      for (const name of await readdir(state)) {
        if (/^run\.json\..*\.tmp$/.test(name)) await rm(join(state, name), { force: true }); // of one that died writing it
      }
      if (!(await this.#refuseForeign(pipelineName))) {
        await writeFileAtomic(this.#mark, `${canonicalJson({ doremi: 1, pipeline: pipelineName })}\n`);
      }
      return lock;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Makes the folder this pipeline's without locking it, for tasks that work beside each other in folders of their own.
   *
   * @throws DoremiError as open does
   */
  async claim(pipelineName: string): Promise<void> {
    for (let attempt = 1; !(await this.#refuseForeign(pipelineName)); attempt++) {
      // One of the tasks makes the mark, under the lock; the others wait for it.
      const lock = await this.open(pipelineName).catch((error: unknown) => {
        if (!isLocked(error) || attempt >= CLAIM_ATTEMPTS) throw error;
      });
      if (lock) return lock.release();
      await wait(CLAIM_PAUSE_MS);
    }
  }

  get #mark(): string {
    return join(this.path, STATE, "run.json");
  }

  /** @returns whether the folder is this pipeline's already */
  async #refuseForeign(pipelineName: string): Promise<boolean> {
    const owner = await readJson<{ pipeline: string }>(this.#mark);
    if (owner) {
      if (owner.pipeline === pipelineName) return true;
      throw new DoremiError(
        "bad-configuration",
        "other-pipeline",
        `${this.path}: holds the output of the pipeline “${owner.pipeline}”, and this one is “${pipelineName}”; choose another output folder, or delete it`,
        { file: this.path },
      );
    }
    const entries = await readdir(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      if (error.code === "ENOTDIR")
        throw new DoremiError(
          "bad-configuration",
          "not-a-folder",
          `${this.path}: the output must be a folder, found a file`,
          { file: this.path },
        );
      throw error;
    });
    if (entries.some((entry) => entry !== STATE)) {
      throw new DoremiError(
        "bad-configuration",
        "foreign-folder",
        `${this.path}: is not empty and was not made by doremi; choose another output folder`,
        { file: this.path },
      );
    }
    return false;
  }

  folderOf(stage: string): string {
    return join(this.path, stage);
  }

  async workFolder(stage: string, key: string): Promise<string> {
    const path = this.workPath(stage, key);
    await makeFolder(path);
    return path;
  }

  /** Where the work folder is, if there is one. */
  workPath(stage: string, key: string): string {
    return join(this.path, STATE, "work", `${stage}-${key.slice(0, 16)}`);
  }

  /** Deletes unfinished work of the stage under other keys. */
  async dropOtherWork(stage: string, key: string | undefined): Promise<void> {
    const work = join(this.path, STATE, "work");
    const keep = key === undefined ? undefined : `${stage}-${key.slice(0, 16)}`;
    for (const entry of await readdir(work).catch(() => [])) {
      const owner = entry.slice(0, entry.lastIndexOf("-"));
      if (owner === stage && entry !== keep) await rm(join(work, entry), { recursive: true, force: true });
    }
  }

  /** The done-mark of a stage, when every file that it names is there in its size. */
  async done(stage: string): Promise<DoneMark | undefined> {
    return readDone(this.folderOf(stage));
  }

  /** The first file of a finished stage that is no longer what the stage wrote; undefined where all are. */
  async damagedFile(stage: string, signal?: AbortSignal): Promise<string | undefined> {
    const folder = this.folderOf(stage);
    for (const { path, sha256 } of (await this.done(stage))?.files ?? []) {
      if ((await sha256File(join(folder, path), signal)) !== sha256) return join(folder, path);
    }
    return undefined;
  }

  /** A finished stage counts as not done from here on; what of it is whole can still be taken over. */
  async forget(stage: string): Promise<void> {
    const mark = await this.done(stage);
    if (mark) await writeMark(this.folderOf(stage), { ...mark, key: "" });
  }

  /** Completes a stage: hashes what it wrote, marks it done and puts it in place of the earlier output. */
  async publish(stage: Pick<DoneMark, "stage" | "version">, key: string, output: unknown): Promise<DoneMark> {
    const work = await this.workFolder(stage.stage, key);
    const files = [];
    for (const path of await filesUnder(work)) {
      if (path === DONE) continue;
      if (path.endsWith(".tmp")) {
        await rm(join(work, path), { force: true });
        continue;
      }
      const full = join(work, path);
      await sync(full);
      files.push({ path, size: (await stat(full)).size, sha256: await sha256File(full) });
    }
    for (const folder of new Set(files.map(({ path }) => dirname(join(work, path))))) await sync(folder);
    const mark: DoneMark = { ...stage, key, output, files };
    await writeMark(work, mark);
    await this.#swap(stage.stage, work);
    return mark;
  }

  /** Puts a folder that was completed but not yet in place when its run died into place. */
  async recover(stage: string, key: string): Promise<void> {
    const work = this.workPath(stage, key);
    const mark = await readDone(work);
    if (mark?.key === key) await this.#swap(stage, work);
  }

  async #swap(stage: string, work: string): Promise<void> {
    const target = this.folderOf(stage);
    const old = join(this.path, STATE, "work", `${stage}-old`);
    await rm(old, { recursive: true, force: true });
    await rename(target, old).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rename(work, target);
    await sync(join(work, ".."));
    await sync(this.path);
    await rm(old, { recursive: true, force: true });
  }
}

async function writeMark(folder: string, mark: DoneMark): Promise<void> {
  await writeFileAtomic(join(folder, DONE), `${canonicalJson({ ...mark, sha256: sha256Json(mark) })}\n`);
}

/** Undefined where there is none, or it is not what was written. */
async function readDone(folder: string): Promise<DoneMark | undefined> {
  const { success, data } = doneMark.safeParse(await readJson(join(folder, DONE)));
  if (!success) return undefined;
  const { sha256, ...mark } = data;
  if (sha256Json(mark) !== sha256) return undefined;
  for (const file of mark.files) {
    const found = await stat(join(folder, file.path)).catch(() => undefined);
    if (found?.size !== file.size) return undefined;
  }
  return mark;
}

/** Undefined where there is no such file, or it is not JSON. */
async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Paths relative to the folder, `/` between parts, sorted. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relativePath(folder, join(entry.parentPath, entry.name)))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
