/**
 * Writes OpenAI's vocabularies as the counter reads them, src/tokenizer/vocabularies/NAME.vocabulary and the same in
 * dist/, from the rank files of the package gpt-tokenizer. A rank file says which tokens there are and in what order
 * they were made; which two tokens each was made of is found here, once, rather than in every process that counts.
 */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { sha256 } from "../src/lib/hash.ts";
import { writePublishedVocabulary } from "../src/tokenizer/published-vocabulary.ts";

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join("tokenizer", "vocabularies");
const NAMES = ["r50k", "p50k", "cl100k", "o200k"];

/** Tokens by rank, as strings of one character a byte. Lines are `base64(token) rank`, ranks ascending, some left out. */
function parseRanks(file: string): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const line of file.split("\n")) {
    if (line === "") continue;
    const [token, rank] = line.split(" ");
    ranks.set(Buffer.from(token!, "base64").toString("latin1"), Number(rank));
  }
  return ranks;
}

/** Length of the left one of the two tokens that become `token`: merges of lower rank leave exactly two. */
function lastSplit(token: string, ranks: ReadonlyMap<string, number>): number {
  const rank = ranks.get(token)!;
  const parts = [...token];
  for (;;) {
    let lowest = rank;
    let at = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const merged = ranks.get(parts[i]! + parts[i + 1]!);
      if (merged !== undefined && merged < lowest) {
        lowest = merged;
        at = i;
      }
    }
    if (at < 0) break;
    parts.splice(at, 2, parts[at]! + parts[at + 1]!);
  }
  // the counter relies on this: no text becomes a token in another way, so one merge for each token is all there are
  if (parts.length !== 2) throw new Error(`token ${rank} is made of ${parts.length} tokens of lower rank, not of two`);
  return parts[0]!.length;
}

const data = createRequire(import.meta.url);
await mkdir(join(ROOT, "src", FOLDER), { recursive: true });
await mkdir(join(ROOT, "dist", FOLDER), { recursive: true });
for (const name of NAMES) {
  const file = await readFile(data.resolve(`gpt-tokenizer/data/${name}_base.tiktoken`));
  const ranks = parseRanks(file.toString("latin1"));
  const merges: number[] = [];
  for (const [token, rank] of ranks) {
    if (token.length === 1) continue;
    const split = lastSplit(token, ranks);
    merges.push(ranks.get(token.slice(0, split))!, ranks.get(token.slice(split))!, rank);
  }
  const built = join(ROOT, "src", FOLDER, `${name}.vocabulary`);
  await writeFile(built, writePublishedVocabulary(ranks, merges, sha256(file)));
  await copyFile(built, join(ROOT, "dist", FOLDER, `${name}.vocabulary`));
}
