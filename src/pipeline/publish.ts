/**
 * Results that belong into an object store. A run works in a folder of this machine, with its locks and renames; when a
 * stage is done, its files are put under the output's URI, each whole. What says that a set is there (manifest.json)
 * comes last, and what it spoke of before is taken away first: a reader finds the old set, the new one or none.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { MANIFEST_NAME } from "../manifest/write.ts";
import { objectStorage } from "../storage/files.ts";
import { isRemote, joinLocation, parseObjectUri } from "../storage/location.ts";
import type { DoneMark, OutputFolder } from "./output-folder.ts";

/** What others have no use for: lists of shards, and the tokens that the small models read. */
const KEPT_HERE = /^(discover|tokenize)(-|$)/;

/** What is known of an object that was put there. */
interface PublishedObject {
  readonly sha256: string;
  readonly size: number;
  readonly version: string;
}

/**
 * Where a run works whose results go to a URI: of every URI a folder of its own, so that the next run goes on there.
 * @param environment XDG_CACHE_HOME
 */
export function workFolderOf(uri: string, environment: NodeJS.ProcessEnv = process.env): string {
  const cache = environment.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(cache, "doremi", createHash("sha256").update(uri).digest("hex").slice(0, 16));
}

/** The URI of an output, without a slash at its end. @throws DoremiError bad-output, bad-uri */
export function outputUri(uri: string): string {
  const bare = uri.replace(/\/+$/, "");
  const { scheme } = parseObjectUri(bare);
  if (scheme !== "http" && scheme !== "https") return bare;
  throw new DoremiError("usage", "bad-output", `${bare}: results go to s3://, gs://, az:// or a folder`, {
    file: bare,
  });
}

export class Publisher {
  readonly #uri: string;
  readonly #folder: OutputFolder;
  readonly #record: string;
  #published: Map<string, PublishedObject> | undefined;
  /** objects put or taken away */
  changes = 0;

  constructor(folder: OutputFolder, uri: string) {
    this.#folder = folder;
    this.#uri = uri;
    this.#record = join(folder.path, ".doremi", "published.json");
  }

  /** Puts what of a finished stage is not there, or not as it is here. @throws DoremiError as ObjectStorage */
  async publish(stage: string): Promise<void> {
    if (KEPT_HERE.test(stage)) return;
    const mark = await this.#folder.done(stage);
    if (!mark) return;
    const published = await this.#known();
    const pending = mark.files.filter(({ path, sha256 }) => published.get(`${stage}/${path}`)?.sha256 !== sha256);
    const heads = pending.filter(({ path }) => path === MANIFEST_NAME);
    for (const { path } of heads) await this.#takeAway(`${stage}/${path}`);
    for (const file of pending) if (!heads.includes(file)) await this.#put(stage, file);
    for (const file of heads) await this.#put(stage, file);
    const names = new Set(mark.files.map(({ path }) => `${stage}/${path}`));
    for (const path of published.keys()) {
      if (path.startsWith(`${stage}/`) && !names.has(path)) await this.#takeAway(path); // of an earlier run
    }
  }

  async #put(stage: string, { path, size, sha256 }: DoneMark["files"][number]): Promise<void> {
    const name = `${stage}/${path}`;
    const uri = joinLocation(this.#uri, name);
    const { version } = await objectStorage().upload(join(this.#folder.folderOf(stage), path), uri, size);
    this.#published!.set(name, { sha256, size, version });
    await this.#note();
  }

  async #takeAway(name: string): Promise<void> {
    await objectStorage().remove(joinLocation(this.#uri, name));
    this.#published!.delete(name);
    await this.#note();
  }

  async #note(): Promise<void> {
    this.changes++;
    const record = { uri: this.#uri, objects: Object.fromEntries(this.#published!) };
    await writeFileAtomic(this.#record, `${JSON.stringify(record)}\n`);
  }

  /** What was put and stands there still, in the version that was put. */
  async #known(): Promise<Map<string, PublishedObject>> {
    if (this.#published) return this.#published;
    const text = await readFile(this.#record, "utf8").catch(() => "{}");
    const { uri, objects = {} } = JSON.parse(text) as { uri?: string; objects?: Record<string, PublishedObject> };
    const there = await objectStorage().listAll(`${this.#uri}/`);
    const mine = uri === this.#uri ? Object.entries(objects) : [];
    this.#published = new Map(
      mine.filter(([name, { size, version }]) => {
        const found = there.get(joinLocation(this.#uri, name));
        return found?.size === size && found.version === version;
      }),
    );
    return this.#published;
  }
}

/** Machines that share the work share a folder. @param who what is divided, for the message @throws DoremiError bad-output */
export function refusePublishing({ publish }: { readonly publish?: string }, who: string): void {
  if (publish === undefined) return;
  throw new DoremiError(
    "usage",
    "bad-output",
    `${publish}: ${who} goes to a folder that all machines share; name one as --output`,
    { file: publish },
  );
}

/** With results in a store, a manifest that names files of this machine would name nothing there. */
export function checkPublishable(patterns: readonly string[], uri: string): void {
  const local = patterns.find((pattern) => !isRemote(pattern));
  if (local === undefined) return;
  throw new DoremiError(
    "bad-configuration",
    "local-inputs",
    `${local}: with results in ${uri} the shards must be behind URIs too, because the manifest there names them; copy them to a store, or write to a folder`,
    { file: local },
  );
}
