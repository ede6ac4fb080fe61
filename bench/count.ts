/**
 * Speed of counting, beside gpt-tokenizer's where it has the vocabulary. Prints one JSON line per tokenizer.
 *
 *   node --import tsx bench/count.ts [--data FOLDER] [--megabytes N] [TOKENIZER…]
 *
 * FOLDER is searched for Parquet files with a `text` column; the default is the quickstart's. Texts are repeated up to
 * N megabytes, so that every run works on the same amount. The rate is the median of five runs over all of it, one
 * thread, text in memory; `firstMegabytesPerSecond` is the first run, with empty caches.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { countTokens as countCl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { countTokens as countO200k } from "gpt-tokenizer/encoding/o200k_base";
import { countTokens as countR50k } from "gpt-tokenizer/encoding/r50k_base";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { openTokenizer } from "../src/tokenizer/open.ts";
import { resolveTokenizer } from "../src/tokenizer/resolve.ts";

const RUNS = 5;
/** documents that the slow peer counts */
const PEER_BYTES = 4e6;
const PEERS: Readonly<Record<string, (text: string) => number>> = {
  r50k: countR50k,
  cl100k: countCl100k,
  o200k: countO200k,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", default: fileURLToPath(new URL("../pipelines/quickstart/data", import.meta.url)) },
    megabytes: { type: "string", default: "64" },
  },
});
const names = positionals.length > 0 ? positionals : ["r50k", "cl100k", "o200k"];

const texts = await readTexts(values.data);
const repeated: Uint8Array[] = [];
const wanted = Number(values.megabytes) * 1e6;
for (let size = 0, i = 0; size < wanted; i++) {
  const text = texts[i % texts.length]!;
  repeated.push(text);
  size += text.length;
}
const bytes = Buffer.concat(repeated);
const offsets = new Uint32Array(repeated.length + 1);
repeated.forEach((text, i) => {
  offsets[i + 1] = offsets[i]! + text.length;
});
const counts = new Uint32Array(repeated.length);

for (const name of names) {
  const started = performance.now();
  const tokenizer = await openTokenizer(await resolveTokenizer(name, "."));
  const startMs = performance.now() - started;
  const seconds = Array.from({ length: RUNS }, () => timed(() => tokenizer.count(bytes, offsets, counts)));
  const tokens = counts.reduce((sum, count) => sum + count, 0);
  const encodeSeconds = timed(() => {
    for (const text of texts) tokenizer.encode(text);
  });
  const textBytes = texts.reduce((sum, text) => sum + text.length, 0);
  console.log(
    JSON.stringify({
      bench: "count",
      tokenizer: name,
      path: tokenizer.descriptor.path,
      bytes: bytes.length,
      documents: repeated.length,
      tokens,
      startMs: Math.round(startMs),
      megabytesPerSecond: rate(bytes.length, median(seconds)),
      firstMegabytesPerSecond: rate(bytes.length, seconds[0]!),
      encodeMegabytesPerSecond: rate(textBytes, encodeSeconds),
      gptTokenizerMegabytesPerSecond: peerRate(PEERS[name]),
      maxRssMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
    }),
  );
}

function peerRate(count: ((text: string) => number) | undefined): number | null {
  if (count === undefined) return null;
  const strings: string[] = [];
  let size = 0;
  for (const text of texts) {
    if (size > PEER_BYTES) break;
    strings.push(Buffer.from(text).toString());
    size += text.length;
  }
  return rate(
    size,
    timed(() => strings.forEach((text) => void count(text))),
  );
}

async function readTexts(folder: string): Promise<Uint8Array[]> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".parquet")).sort();
  const found: Uint8Array[] = [];
  for (const file of files) {
    const rows = await parquetReadObjects({
      file: await asyncBufferFromFile(join(folder, file)),
      compressors,
      columns: ["text"],
      parsers: { stringFromBytes: (text: Uint8Array) => text.slice() } as never,
    });
    for (const { text } of rows) if (text) found.push(text);
  }
  if (found.length === 0) throw new Error(`${folder}: no Parquet file with text in it`);
  return found;
}

function timed(work: () => void): number {
  const started = performance.now();
  work();
  return (performance.now() - started) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function rate(size: number, seconds: number): number {
  return Math.round(size / 1e5 / seconds) / 10;
}
