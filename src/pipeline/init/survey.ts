/**
 * What a few of a corpus's shards hold: formats, columns, values, and from them how large the whole is. Opens a bounded
 * number of files, however many there are.
 */

import { type ShardSample, sampleShard } from "../../formats/sample.ts";
import { DoremiError } from "../../lib/errors.ts";
import { storage } from "../../storage/files.ts";
import { joinLocation } from "../../storage/location.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { extensionOf, type Listing } from "./listing.ts";

/** shards that are opened, at most; of every extension at least one */
const OPENED = 12;
/** files whose sizes are asked for, at most; the others are taken to be like them */
const SIZED = 2000;
const AT_ONCE = 32;
const ROWS_PER_UNIT = 100;
/** bytes of text that are tokenized for an estimate, about */
const TOKENIZED_BYTES = 2 << 20;
/** Where the sample has no text: what the usual vocabularies come to. */
const USUAL_BYTES_PER_TOKEN = 4;

export interface Survey {
  /** paths that are shards: of an extension whose samples could be read */
  readonly shards: readonly string[];
  readonly samples: readonly (ShardSample & { readonly path: string; readonly size: number })[];
  /** files that are left out and why, by extension */
  readonly left: readonly { readonly extension: string; readonly files: number; readonly reason: string }[];
  /** shards among those that were opened which cannot be read, and why; canSkip: a run may be told to pass them over */
  readonly broken: readonly { readonly path: string; readonly reason: string; readonly canSkip: boolean }[];
}

/** @throws DoremiError no-shard; no-permission, unavailable */
export async function surveyCorpus({ root, paths }: Listing): Promise<Survey> {
  const groups = grouped(paths);
  const shards: string[] = [];
  const samples: (ShardSample & { path: string; size: number })[] = [];
  const left: { extension: string; files: number; reason: string }[] = [];
  const broken: { path: string; reason: string; canSkip: boolean }[] = [];
  const each = Math.max(1, Math.floor(OPENED / groups.size));
  for (const [extension, files] of groups) {
    const found: typeof samples = [];
    const refused: typeof broken = [];
    for (const path of spread(files, each)) {
      try {
        found.push({ path, ...(await openSample(joinLocation(root, path))) });
      } catch (error) {
        if (!(error instanceof DoremiError) || error.kind !== "bad-data") throw error;
        refused.push({ path, reason: error.message.replace(joinLocation(root, path), path), canSkip: true });
      }
    }
    const hasText = found.some(({ texts }) => texts.size > 0);
    if (found.length > 0 && (hasText || groups.size === 1)) {
      shards.push(...files);
      samples.push(...found);
      broken.push(...refused);
    } else left.push({ extension, files: files.length, reason: refused[0]?.reason ?? "has no column that holds text" });
  }
  if (samples.length === 0) {
    const [first] = left;
    throw new DoremiError(
      "bad-data",
      "no-shard",
      `${root}: must hold Parquet, Arrow or JSON Lines shards, and ${paths.length === 1 ? "the one file that was found cannot" : `none of the ${paths.length} files that were found can`} be read: ${first?.reason ?? "there is none"}`,
      { file: root },
    );
  }
  return { shards: shards.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)), samples, left, broken };
}

/** The survey without the kinds of files that lack the column; single files of a kind that has it are broken. */
export function narrowed({ shards, samples, left, broken }: Survey, column: string): Survey {
  const having = new Set(samples.filter(({ texts }) => texts.has(column)).map(({ path }) => extensionOf(path)));
  const lacking = grouped(shards.filter((path) => !having.has(extensionOf(path))));
  const without = samples.filter(({ texts }) => !texts.has(column));
  const reason = ({ path, texts }: Survey["samples"][number]) =>
    `${path}: has no text in a column ${column}, but in ${[...texts.keys()].join(", ") || "none"}; one name is needed`;
  return {
    shards: shards.filter((path) => having.has(extensionOf(path))),
    samples: samples.filter(({ path, texts }) => having.has(extensionOf(path)) && texts.has(column)),
    broken: [
      ...broken,
      ...without
        .filter(({ path }) => having.has(extensionOf(path)))
        .map((sample) => ({ path: sample.path, reason: reason(sample), canSkip: false })),
    ],
    left: [
      ...left,
      ...[...lacking].map(([extension, files]) => ({
        extension,
        files: files.length,
        reason: reason(without.find(({ path }) => extensionOf(path) === extension)!),
      })),
    ],
  };
}

function grouped(paths: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const path of paths) groups.set(extensionOf(path), [...(groups.get(extensionOf(path)) ?? []), path]);
  return groups;
}

async function openSample(location: string): Promise<ShardSample & { size: number }> {
  const file = await storage.open(location);
  try {
    return { ...(await sampleShard(file, { rowsPerUnit: ROWS_PER_UNIT })), size: file.size };
  } finally {
    await file.close();
  }
}

/** So many of the list at even distances, the first and the last among them. */
export function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  const step = most === 1 ? 0 : (list.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, i) => list[Math.round(i * step)]!);
}

export interface Estimate {
  readonly bytes: number;
  readonly documents: number;
  readonly tokens: number;
}

/**
 * How large the shards are together, in tokens of the tokenizer: from all sizes, and what the samples hold for each byte
 * that is stored, kind by kind, since formats compress differently.
 */
export async function estimateSize(
  { root }: Listing,
  { samples }: Survey,
  textColumn: string,
  shards: readonly string[],
  tokenizer: Tokenizer,
): Promise<Estimate> {
  const sized = spread(shards, SIZED);
  const sizes = new Map<string, number>();
  for (let at = 0; at < sized.length; at += AT_ONCE) {
    await Promise.all(
      sized.slice(at, at + AT_ONCE).map(async (path) => {
        const { size } = await storage.stat(joinLocation(root, path));
        sizes.set(extensionOf(path), (sizes.get(extensionOf(path)) ?? 0) + size);
      }),
    );
  }
  const looked = samples.flatMap(({ path, size, rows, texts }) => {
    const values = texts.get(textColumn);
    if (!values) return [];
    const text = rows * meanBytes(values);
    const limit = TOKENIZED_BYTES / samples.length;
    return [{ path, size, rows, tokens: text / bytesPerToken(values, limit, tokenizer) }];
  });
  const total = { bytes: 0, documents: 0, tokens: 0 };
  for (const [extension, size] of sizes) {
    const own = looked.filter(({ path }) => extensionOf(path) === extension);
    const of = own.length > 0 ? own : looked;
    const sum = (value: (sample: (typeof looked)[number]) => number) => of.reduce((all, one) => all + value(one), 0);
    const bytes = (size / sized.length) * shards.length;
    const stored = sum((sample) => sample.size);
    total.bytes += bytes;
    total.documents += (sum(({ rows }) => rows) / stored) * bytes;
    total.tokens += (sum(({ tokens }) => tokens) / stored) * bytes;
  }
  return {
    bytes: Math.round(total.bytes),
    documents: Math.round(total.documents),
    tokens: Math.round(total.tokens),
  };
}

/** @param limit bytes that are tokenized, about */
function bytesPerToken(values: readonly (string | null)[], limit: number, tokenizer: Tokenizer): number {
  let [bytes, tokens] = [0, 0];
  for (const value of values) {
    if (value === null) continue;
    const text = Buffer.from(value);
    const counts = new Uint32Array(1);
    tokenizer.count(text, Uint32Array.of(0, text.length), counts);
    bytes += text.length;
    tokens += counts[0]!;
    if (bytes >= limit) break;
  }
  return tokens === 0 ? USUAL_BYTES_PER_TOKEN : bytes / tokens;
}

function meanBytes(values: readonly (string | null)[]): number {
  const bytes = values.reduce((sum, value) => sum + (value === null ? 0 : Buffer.byteLength(value)), 0);
  return values.length === 0 ? 0 : bytes / values.length;
}
