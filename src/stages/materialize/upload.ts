/**
 * A set that goes to an object store: each shard is finished on this machine, put under the set's URI and taken away here,
 * so that the disk holds a few shards of it. The record, which says that the set is there, comes last.
 */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import {
  loadMaterialized,
  MATERIALIZED_NAME,
  type MaterializedFile,
  type MaterializedSet,
} from "../../manifest/materialized.ts";
import { objectStorage } from "../../storage/files.ts";
import { joinLocation } from "../../storage/location.ts";
import type { FileStat } from "../../storage/storage.ts";
import { type SetState, setFilesOf } from "./state.ts";

/** Of a shard whose files are in the store, in the state: the versions that its files had when they were put. */
interface PutMark {
  readonly versions: Readonly<Record<string, string>>;
}

export class SetUpload {
  /** of the set, without a slash at its end */
  readonly uri: string;
  /** what lies under it, by URI; as it was found, and what was put since */
  readonly #there: Map<string, FileStat>;

  private constructor(uri: string, there: ReadonlyMap<string, FileStat>) {
    this.uri = uri;
    this.#there = new Map(there);
  }

  static async open(uri: string): Promise<SetUpload> {
    return new SetUpload(uri, await objectStorage().listAll(`${uri}/`));
  }

  /**
   * The finished set of this key; undefined where there is none.
   * @param isBegun whether this machine has the state of a set of this key that is being put there
   * @throws DoremiError other-set where something else is there
   */
  async finished(key: string, isBegun: boolean): Promise<MaterializedSet | undefined> {
    if (!this.#there.has(this.#uriOf(MATERIALIZED_NAME))) {
      const [found] = this.#there.keys();
      if (found === undefined || isBegun) return undefined;
      throw this.#otherSet(`${found}, which no unfinished set of this machine put there`);
    }
    const set = await loadMaterialized(this.uri);
    if (set.key !== key) throw this.#otherSet("a set of another manifest or other settings");
    const isWhole = setFilesOf(set).every(({ path, size }) => this.#there.get(this.#uriOf(path))?.size === size);
    return isWhole ? set : undefined;
  }

  /** From here on there is no finished set. */
  async removeRecord(): Promise<void> {
    if (this.#there.delete(this.#uriOf(MATERIALIZED_NAME)))
      await objectStorage().remove(this.#uriOf(MATERIALIZED_NAME));
  }

  /**
   * Puts the files of a shard that is finished in `output`, and takes them away there.
   * @param files relative to the set
   */
  async putShard(output: string, shard: number, files: readonly MaterializedFile[], state: SetState): Promise<void> {
    const versions: Record<string, string> = {};
    for (const file of files) versions[file.path] = (await this.put(output, file)).version;
    await writeFileAtomic(state.path(`put-${shard}.json`), JSON.stringify({ versions } satisfies PutMark));
    for (const { path } of files) await rm(join(output, path), { force: true });
  }

  /** Shards that were put and stand there as they were put. */
  async shards(state: SetState): Promise<Set<number>> {
    const marks = await state.marks<PutMark>("put");
    const isThere = ({ versions }: PutMark) =>
      Object.entries(versions).every(([path, version]) => this.#there.get(this.#uriOf(path))?.version === version);
    return new Set([...marks].filter(([, mark]) => isThere(mark)).map(([shard]) => shard));
  }

  async put(output: string, { path, size }: Pick<MaterializedFile, "path" | "size">): Promise<FileStat> {
    const found = await objectStorage().upload(join(output, path), this.#uriOf(path), size);
    this.#there.set(this.#uriOf(path), found);
    return found;
  }

  /** Puts what stands beside the shards, and then the record. */
  async finish(output: string, { files }: MaterializedSet): Promise<void> {
    for (const file of files) await this.put(output, file);
    await this.put(output, { path: MATERIALIZED_NAME, size: (await stat(join(output, MATERIALIZED_NAME))).size });
  }

  #uriOf(path: string): string {
    return joinLocation(this.uri, path);
  }

  #otherSet(found: string): DoremiError {
    return new DoremiError(
      "bad-configuration",
      "other-set",
      `${this.uri}: must be empty, or hold what an interrupted run of the same command put there; it holds ${found}; choose ` +
        "another --output, or delete what is there",
      { file: this.uri },
    );
  }
}
