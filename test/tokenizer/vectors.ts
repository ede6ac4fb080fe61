/** The stored reference counts, and documents in the layout that tokenizers take. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
export const SMALL_TOKENIZER = `${REPOSITORY}pipelines/quickstart/tokenizer-4096.json`;
export const FILES = `${REPOSITORY}test/files/tokenizer/`;

interface Vectors {
  readonly tiktoken: readonly {
    readonly text: string;
    readonly r50k: number;
    readonly cl100k: number;
    readonly o200k: number;
  }[];
  /** what each variant changes in the small tokenizer */
  readonly variants: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly metaspace: unknown;
  readonly extra: readonly string[];
  readonly runs: readonly (readonly [string, number])[];
  /** by tokenizer: count and checksum of the ids of every document */
  readonly huggingface: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}

export const vectors: Vectors = JSON.parse(readFileSync(`${FILES}vectors.json`, "utf8"));

/** Documents of `vectors.tiktoken`, then `extra`, then `runs`. */
export const documents: readonly Buffer[] = [
  ...vectors.tiktoken.map(({ text }) => Buffer.from(text, "base64")),
  ...vectors.extra.map((text) => Buffer.from(text)),
  ...vectors.runs.map(([unit, times]) => Buffer.from(unit.repeat(times))),
];

export function batch(texts: readonly Uint8Array[]): { bytes: Uint8Array; offsets: Uint32Array; counts: Uint32Array } {
  const offsets = new Uint32Array(texts.length + 1);
  texts.forEach((text, i) => {
    offsets[i + 1] = offsets[i]! + text.length;
  });
  return { bytes: Buffer.concat(texts), offsets, counts: new Uint32Array(texts.length) };
}

export function checksum(ids: Uint32Array): number {
  let sum = 0n;
  ids.forEach((id, i) => {
    sum += BigInt(i + 1) * BigInt(id);
  });
  return Number(sum & 0xffff_ffffn);
}
