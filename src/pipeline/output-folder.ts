/**
 * The output folder: whose it is, that one run at a time writes into it, and which stages in it are complete.
 *
 *     <output>/.doremi/run.json       made by this pipeline
 *     <output>/.doremi/lock           held by a run
 *     <output>/.doremi/work/<stage>-<key>/   what a stage is writing, or an interrupted one left
 *     <output>/<stage>/               complete, with done.json: its key, its output and the hash of every file
 *
 * A stage's folder appears by one rename, so there is never half of one.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join, relative, sep } from "node:path";
import { syncFolder, writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { canonicalJson, sha256File } from "../lib/hash.ts";

const STATE = ".doremi";
const DONE = "done.json";

export interface DoneMark {
  readonly stage: string;
  /** of the stage that made it */
  readonly version: number;
  readonly key: string;
  readonly output: unknown;
  /** every other file of the folder, sorted by path */
  readonly files: readonly { readonly path: string; readonly size: number; readonly sha256: string }[];
}

export class OutputFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the folder this pipeline's, or refuses when it is another's. */
  async claim(pipelineName: string): Promise<void> {
    const mark = join(this.path, STATE, "run.json");
    const owner = await readJson<{ pipeline: string }>(mark);
    if (owner) {
      if (owner.pipeline === pipelineName) return;
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
    await writeFileAtomic(mark, `${canonicalJson({ doremi: 1, pipeline: pipelineName })}\n`);
  }

  /** Takes the lock. @returns what gives it back */
  async lock(): Promise<() => Promise<void>> {
    const path = join(this.path, STATE, "lock");
    await mkdir(join(this.path, STATE), { recursive: true });
    for (let attempt = 0; ; attempt++) {
      try {
        // Linked into place, so that the lock is never there without its content.
        const own = `${path}.${randomUUID()}.tmp`;
        await writeFile(
          own,
          canonicalJson({ host: hostname(), pid: process.pid, started: await startOf(process.pid) }),
        );
        await link(own, path).finally(() => rm(own, { force: true }));
        return () => rm(path, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = await readJson<{ host: string; pid: number; started: string | null }>(path);
      const alive = holder && (holder.host !== hostname() || (await startOf(holder.pid)) === holder.started);
      if (alive || attempt > 3) {
        throw new DoremiError(
          "bad-configuration",
          "locked",
          `${this.path}: one run at a time writes into a folder, and process ${holder?.pid} on ${holder?.host} is; wait for it, or delete ${path} if it is gone`,
          { file: path },
        );
      }
      await rm(path, { force: true });
    }
  }

  folderOf(stage: string): string {
    return join(this.path, stage);
  }

  async workFolder(stage: string, key: string): Promise<string> {
    const path = join(this.path, STATE, "work", `${stage}-${key.slice(0, 16)}`);
    await mkdir(path, { recursive: true });
    return path;
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
      files.push({ path, size: (await stat(full)).size, sha256: await sha256File(full) });
    }
    const mark: DoneMark = { ...stage, key, output, files };
    await writeFileAtomic(join(work, DONE), `${canonicalJson(mark)}\n`);
    await this.#swap(stage.stage, work);
    return mark;
  }

  /** Puts a folder that was completed but not yet in place when its run died into place. */
  async recover(stage: string, key: string): Promise<void> {
    const work = join(this.path, STATE, "work", `${stage}-${key.slice(0, 16)}`);
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
    await syncFolder(this.path);
    await rm(old, { recursive: true, force: true });
  }
}

async function readDone(folder: string): Promise<DoneMark | undefined> {
  const mark = await readJson<DoneMark>(join(folder, DONE));
  if (!mark || !Array.isArray(mark.files)) return undefined;
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
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** When a process began, so that a reused process number is not taken for the holder of a lock; null if there is none. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    try {
      process.kill(pid, 0);
      return "unknown"; // no /proc on this system, and the process is alive
    } catch {
      return null;
    }
  }
}
