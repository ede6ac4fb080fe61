/**
 * The text that is counted, as files which every program reads without help: all documents in one file with their
 * lengths and domains in another; and, for whoever is slow, every fourth document.
 */
import { writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readCorpus } from "../../src/stages/streams.ts";

export interface TextFile {
  /** documents one after the other, UTF-8 */
  readonly path: string;
  /** JSON, see `TextIndex` */
  readonly index: string;
  readonly bytes: number;
  readonly documents: number;
}

export interface TextIndex {
  readonly domains: readonly string[];
  /** by document: its bytes, and which domain it is of */
  readonly lengths: readonly number[];
  readonly domainOf: readonly number[];
}

interface Document {
  readonly text: Uint8Array;
  readonly domain: string;
}

const SAMPLE_EVERY = 4;

/** @param maxBytes every k-th document of a larger corpus is taken */
export async function prepareText(
  patterns: readonly string[],
  maxBytes: number,
  folder: string,
): Promise<{ whole: TextFile; sample: TextFile }> {
  const documents: Document[] = [];
  for await (const { file, text } of readCorpus(patterns)) {
    const domain = basename(dirname(file));
    for (let row = 0; row < text.rows; row++) {
      if (text.validity?.[row] === 0) continue;
      documents.push({ text: text.bytes.slice(text.offsets[row], text.offsets[row + 1]), domain });
    }
  }
  const total = documents.reduce((sum, { text }) => sum + text.length, 0);
  const every = Math.max(1, Math.ceil(total / maxBytes));
  const taken = everyNth(documents, every);
  return {
    whole: await writeText(taken, folder, "whole"),
    sample: await writeText(everyNth(taken, SAMPLE_EVERY), folder, "sample"),
  };
}

const everyNth = (documents: readonly Document[], n: number) => documents.filter((_, i) => i % n === 0);

async function writeText(documents: readonly Document[], folder: string, name: string): Promise<TextFile> {
  const domains = [...new Set(documents.map(({ domain }) => domain))].sort();
  const index: TextIndex = {
    domains,
    lengths: documents.map(({ text }) => text.length),
    domainOf: documents.map(({ domain }) => domains.indexOf(domain)),
  };
  const text = Buffer.concat(documents.map((document) => document.text));
  const file = { path: join(folder, `${name}.txt`), index: join(folder, `${name}.json`) };
  await writeFile(file.path, text);
  await writeFile(file.index, JSON.stringify(index));
  return { ...file, bytes: text.length, documents: documents.length };
}
