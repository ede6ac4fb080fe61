/**
 * Counts that were made before and still hold, in the folder of this run, of the last one and of the cache. Beside each
 * counts file lies a list of what is in it: of which content, under which tokenizers, read how. A shard is known by its
 * content; its place, size and time only save hashing it again.
 */
import { randomBytes } from "node:crypto";
import { copyFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { canonicalJson, sha256, sha256File } from "../../lib/hash.ts";
import { recordsOf } from "../../lib/json-lines.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { DiscoveredShard } from "../discover/contract.ts";
import { type KeptBad, keptBad } from "./bad.ts";

const LIST_SUFFIX = ".kept.jsonl";
/** Raised when a list says more of its shards, or says it otherwise: lists of another version are passed over. */
const LIST_VERSION = 2;

/** A cache is shared: what lies in it may be anything, and is looked at before it is believed. */
const keptHeader = z.looseObject({
  doremi: z.literal("kept counts"),
  version: z.number(),
  profile: z.string(),
  tokenizers: z.array(z.looseObject({ name: z.string(), fingerprint: z.string() })),
  counts: z.looseObject({ path: z.string(), sha256: z.string(), shards: z.int() }),
});

const keptShard = z.looseObject({
  path: z.string(),
  size: z.number(),
  version: z.string(),
  sha256: z.string(),
  domain: z.string().nullable(),
  rowStart: z.int().min(0),
  unitRows: z.array(z.int().min(0)),
  bad: keptBad.optional(),
  totals: z.array(
    z.looseObject({
      value: z.string().nullable(),
      documents: z.array(z.number()),
      bytes: z.array(z.number()),
      tokens: z.array(z.array(z.number())),
    }),
  ),
});

/** Where kept counts come from. */
export type Origin = "work" | "previous" | "cache" | "part";

/** Of one value of the domain column or path, a number for each unit of the shard; null = documents without a value. */
export interface ValueTotals {
  readonly value: string | null;
  readonly documents: readonly number[];
  readonly bytes: readonly number[];
  /** by tokenizer */
  readonly tokens: readonly (readonly number[])[];
}

/** What is said of a shard in the list beside a counts file. */
export interface KeptShard {
  /** absolute path, size and FileStat.version when it was counted */
  readonly path: string;
  readonly size: number;
  readonly version: string;
  /** of its content; of an object that was not hashed: objectContent */
  readonly sha256: string;
  /** of all its rows, as it was counted; null where a column says it */
  readonly domain: string | null;
  /** its first row in the counts file */
  readonly rowStart: number;
  readonly unitRows: readonly number[];
  readonly totals: readonly ValueTotals[];
  /** documents that were left out or replaced; absent where none */
  readonly bad?: KeptBad | undefined;
}

/** The first line of the list: what all of the file's shards have in common. */
interface KeptHeader {
  readonly doremi: "kept counts";
  readonly version: number;
  /** hash of everything but content and tokenizers that a row's counts depend on */
  readonly profile: string;
  readonly counts: { readonly path: string; readonly sha256: string; readonly shards: number };
  readonly tokenizers: readonly { readonly name: string; readonly fingerprint: string }[];
}

/** A counts file with a list beside it. */
export interface KeptFile {
  readonly origin: Origin;
  /** absolute */
  readonly path: string;
  readonly sha256: string;
  readonly shards: number;
  readonly tokenizers: KeptHeader["tokenizers"];
}

export interface Hit {
  readonly file: KeptFile;
  readonly shard: KeptShard;
}

export class KeptCounts {
  /** content by path, size and version */
  readonly #hashes = new Map<string, string>();
  /** by size: files that were counted and have not been found where and as they were */
  readonly #missing = new Map<number, number>();
  readonly #byContent = new Map<string, Hit[]>();
  readonly #whole = new Map<KeptFile, Promise<boolean>>();
  readonly #contentOf: (sha256: string, domain: string | null) => string;

  /** @param domainMatters whether a row's counts depend on the domain that the path says, as under a transform */
  private constructor(domainMatters: boolean) {
    this.#contentOf = (hash, domain) => (domainMatters ? `${hash}/${domain ?? ""}` : hash);
  }

  /** @param folders in the order of preference; one that is not there holds nothing */
  static async open(
    folders: readonly { readonly path: string; readonly origin: Origin }[],
    wanted: {
      readonly profile: string;
      readonly tokenizers: readonly TokenizerDescriptor[];
      readonly domainMatters: boolean;
    },
  ): Promise<KeptCounts> {
    const kept = new KeptCounts(wanted.domainMatters);
    for (const { path: folder, origin } of folders) {
      const names = await readdir(folder).catch(() => []);
      for (const name of names.sort()) {
        if (!name.endsWith(LIST_SUFFIX)) continue;
        const list = await readFile(join(folder, name)).catch(() => undefined); // another run may clear the cache
        if (list) kept.#add(folder, origin, list, wanted);
      }
    }
    return kept;
  }

  #add(
    folder: string,
    origin: Origin,
    list: Buffer,
    { profile, tokenizers }: { readonly profile: string; readonly tokenizers: readonly TokenizerDescriptor[] },
  ): void {
    const records = recordsOf<unknown>(list);
    const { data: header } = keptHeader.safeParse(records.next().value);
    if (header?.version !== LIST_VERSION || header.profile !== profile) return;
    if (!tokenizers.every((tokenizer) => placeOf(tokenizer, header) >= 0)) return;
    const { path, sha256, shards } = header.counts;
    const file: KeptFile = {
      origin,
      path: join(folder, basename(path)),
      sha256,
      shards,
      tokenizers: header.tokenizers,
    };
    for (const record of records) {
      const { data: shard } = keptShard.safeParse(record);
      if (!shard) return;
      const state = stateOf(shard.path, shard.size, shard.version);
      if (!this.#hashes.has(state)) this.#missing.set(shard.size, (this.#missing.get(shard.size) ?? 0) + 1);
      this.#hashes.set(state, shard.sha256);
      const key = this.#contentOf(shard.sha256, shard.domain);
      const hits = this.#byContent.get(key);
      if (hits) hits.push({ file, shard });
      else this.#byContent.set(key, [{ file, shard }]);
    }
  }

  /** The content's hash, where a file of this path, size and version was hashed before. Asked once of every shard. */
  claim(path: string, { version, layout: { size } }: DiscoveredShard): string | undefined {
    const hash = this.#hashes.get(stateOf(path, size, version));
    if (hash !== undefined) this.#missing.set(size, this.#missing.get(size)! - 1);
    return hash;
  }

  /** Once all are claimed: could a file of this size be one that was moved, copied or touched? */
  isLikely(size: number): boolean {
    return (this.#missing.get(size) ?? 0) > 0;
  }

  /** Counts of a shard of this content, from a file that is whole. */
  async find(hash: string, shard: DiscoveredShard): Promise<Hit | undefined> {
    for (const hit of this.#byContent.get(this.#contentOf(hash, shard.domain)) ?? []) {
      if (hasUnits(hit.shard, shard) && (await this.#isWhole(hit.file))) return hit;
    }
    return undefined;
  }

  #isWhole(file: KeptFile): Promise<boolean> {
    let whole = this.#whole.get(file);
    if (whole === undefined) {
      whole = sha256File(file.path).then(
        (found) => found === file.sha256,
        () => false,
      );
      this.#whole.set(file, whole);
    }
    return whole;
  }
}

const stateOf = (path: string, size: number, version: string) => `${version}/${size}/${path}`;

/** What stands for the hash of an object that is not read whole: where it is, and in which version. */
export function objectContent(uri: string, { version, layout: { size } }: DiscoveredShard): string {
  return `${OBJECT}${stateOf(uri, size, version)}`;
}

const OBJECT = "object ";

/** The SHA-256 of the content; null where it is an object's that was not hashed. */
export function contentHash(content: string): string | null {
  return content.startsWith(OBJECT) ? null : content;
}

/** The same content may be cut into other units by another version of the readers. */
function hasUnits({ unitRows, size, domain: was }: KeptShard, { layout, domain: is }: DiscoveredShard): boolean {
  return (
    size === layout.size &&
    (was === null) === (is === null) &&
    unitRows.length === layout.units.length &&
    layout.units.every(({ rows }, i) => rows === null || rows === unitRows[i])
  );
}

/** Index of a tokenizer's column in a kept file; −1 where it was not counted. */
export function placeOf(
  { fingerprint }: Pick<TokenizerDescriptor, "fingerprint">,
  { tokenizers }: Pick<KeptHeader, "tokenizers">,
): number {
  return tokenizers.findIndex((other) => other.fingerprint === fingerprint);
}

/** Writes the list beside a counts file. @param counts of the file at `path` */
export async function writeKeptList(
  path: string,
  header: Omit<KeptHeader, "doremi" | "version" | "counts"> & { readonly sha256: string },
  shards: readonly KeptShard[],
): Promise<void> {
  const { sha256: hash, ...common } = header;
  const counts = { path: basename(path), sha256: hash, shards: shards.length };
  const first: KeptHeader = { doremi: "kept counts", version: LIST_VERSION, ...common, counts };
  await writeFileAtomic(listOf(path), [first, ...shards].map((record) => `${canonicalJson(record)}\n`).join(""));
}

const listOf = (path: string) => `${path}${LIST_SUFFIX}`;

/**
 * Puts a counts file and its list into the cache. Its names come from what it holds, so runs that do the same at once
 * write the same; the list comes last, and a counts file without one is nobody's. What a killed run leaves lies beside
 * `path`, in a folder that its next run clears, and not in the cache.
 */
export async function addToCache(cache: string, path: string, hash: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const target = join(cache, `${hash.slice(0, 40)}.counts.arrow`);
  const file = temporaryName(path);
  await link(path, file).catch(() => copyFile(path, file));
  await moveInto(file, target);
  const [first = "", ...rest] = (await readFile(listOf(path), "utf8")).split("\n");
  const header = JSON.parse(first) as KeptHeader;
  const renamed = { ...header, counts: { ...header.counts, path: basename(target) } };
  const text = [canonicalJson(renamed), ...rest].join("\n");
  const list = temporaryName(listOf(path));
  await writeFile(list, text);
  await moveInto(list, join(cache, `${sha256(text).slice(0, 40)}${LIST_SUFFIX}`));
}

/** A second name for a file that nobody writes to any more, or a copy where the file system has no such thing. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  const temporary = temporaryName(to);
  await link(from, temporary).catch(() => copyFile(from, temporary));
  await moveInto(temporary, to);
}

/** In one step, also from another file system; `temporary` is gone after it in any case. */
async function moveInto(temporary: string, to: string): Promise<void> {
  try {
    await rename(temporary, to).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "EXDEV") throw error;
      const there = temporaryName(to);
      try {
        await copyFile(temporary, there);
        await rename(there, to);
      } finally {
        await rm(there, { force: true });
      }
    });
  } finally {
    await rm(temporary, { force: true }); // renaming one name of a file to another of its names does nothing
  }
}

const temporaryName = (path: string) => `${path}.${randomBytes(6).toString("hex")}.tmp`;
