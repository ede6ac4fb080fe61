/** The shards of the trials: links to a corpus, many small files, and files that pyarrow writes. */
import { execFile } from "node:child_process";
import { copyFile, link, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readCorpus } from "../../src/index.ts";
import type { Options, Trial } from "./options.ts";

const SHARDS_PY = fileURLToPath(new URL("shards.py", import.meta.url));
/** In a folder of small shards; file systems list more, slowly. */
const FILES_PER_FOLDER = 1000;
const SMALL_BYTES = 1000;
/** Of the text that a large shard repeats. */
const REPEATED_BYTES = 8 << 20;

export interface Shards {
  /** for --data */
  readonly pattern: string;
  readonly files: number;
}

/** The trial's shards in a folder that is there. */
export async function makeShards(trial: Trial, options: Options, folder: string): Promise<Shards> {
  switch (trial) {
    case "bounded":
    case "long":
      return linkCorpus(options, folder, trial === "long" ? options.longMb : options.boundedMb);
    case "small-shards":
      return smallShards(options, folder);
    case "document-parquet":
    case "document-jsonl":
    case "document-jsonl-zst":
    case "row-group":
      return largeShard(trial, options, folder);
  }
  return trial satisfies never;
}

/** Each copy's files are links of one copy, which may lie on another disk than the corpus. */
async function linkCorpus({ corpus }: Options, folder: string, megabytes: number): Promise<Shards> {
  const domains = (await readdir(corpus, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const files: { readonly domain: string; readonly name: string; readonly path: string }[] = [];
  for (const { name: domain } of domains) {
    for (const name of (await readdir(join(corpus, domain))).filter((name) => name.startsWith("part-"))) {
      const path = join(folder, "once", domain, name);
      await mkdir(join(path, ".."), { recursive: true });
      await copyFile(join(corpus, domain, name), path);
      files.push({ domain, name, path });
    }
  }
  const copies = Math.ceil((megabytes * 1e6) / (await textBytes(join(folder, "once/{domain}/part-*"))));
  for (let copy = 0; copy < copies; copy++) {
    for (const { domain, name, path } of files) {
      const to = join(folder, "all", domain, String(copy));
      await mkdir(to, { recursive: true });
      await link(path, join(to, name));
    }
  }
  return { pattern: join(folder, "all/{domain}/*/part-*"), files: copies * files.length };
}

async function textBytes(pattern: string): Promise<number> {
  let bytes = 0;
  for await (const text of textsOf(pattern)) bytes += text.length;
  return bytes;
}

/** Each document's text, UTF-8. */
async function* textsOf(pattern: string): AsyncGenerator<Buffer> {
  for await (const { text } of readCorpus(pattern)) {
    for (let row = 0; row < text.rows; row++)
      yield Buffer.from(text.bytes.slice(text.offsets[row], text.offsets[row + 1]));
  }
}

async function smallShards({ corpus, smallShards }: Options, folder: string): Promise<Shards> {
  const texts = await sampleOf(corpus);
  for (let i = 0; i < smallShards; i++) {
    const to = join(folder, `domain-${i % 10}`, String(Math.floor(i / FILES_PER_FOLDER)));
    if (i % FILES_PER_FOLDER < 10) await mkdir(to, { recursive: true });
    const lines = texts.slice(i % (texts.length - 1)).slice(0, 1 + (i % 2));
    await writeFile(join(to, `${i}.jsonl`), lines.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  }
  return { pattern: join(folder, "{domain}/*/*.jsonl"), files: smallShards };
}

/** Beginnings of the corpus's documents. */
async function sampleOf(corpus: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of textsOf(join(corpus, "{domain}/part-*"))) texts.push(text.toString().slice(0, SMALL_BYTES));
  return texts;
}

async function largeShard(trial: Trial, options: Options, folder: string): Promise<Shards> {
  const text = join(folder, "text");
  const texts: Buffer[] = [];
  for await (const piece of textsOf(join(options.corpus, "{domain}/part-*"))) texts.push(piece);
  await writeFile(text, Buffer.concat(texts).subarray(0, REPEATED_BYTES));
  const bytes = (trial === "row-group" ? options.rowGroupMb : options.documentMb) * 1e6;
  const shard = join(folder, "one", `shard.${trial.startsWith("document-jsonl") ? "jsonl" : "parquet"}`);
  await mkdir(join(shard, ".."), { recursive: true });
  const args = [SHARDS_PY, trial, text, shard, String(bytes)];
  await promisify(execFile)(options.python, args).catch((error: Error) => {
    throw new Error(`--python ${options.python}: must have pyarrow, to write the shard of ${trial}: ${error.message}`);
  });
  return { pattern: join(folder, "{domain}/shard.*"), files: 1 };
}
