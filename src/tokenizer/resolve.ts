/**
 * From the name or path that a user writes to a tokenizer's descriptor. Reads and checks the vocabulary, so that a bad
 * one is reported before any work starts; builds nothing.
 */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DoremiError } from "../lib/errors.ts";
import { readHuggingFace } from "./huggingface.ts";
import { resolveTiktoken, TIKTOKEN_NAMES, tiktokenName } from "./tiktoken.ts";
import type { TokenizerDescriptor } from "./tokenizer.ts";

/**
 * @param nameOrPath `r50k`, `gpt2`, `cl100k_base`, …, or the path of a tokenizer.json (or of the folder that holds it)
 * @param baseFolder what a relative path is relative to
 * @throws DoremiError unknown-tokenizer, missing-file, bad-tokenizer, unsupported-tokenizer, missing-vocabulary
 */
export async function resolveTokenizer(nameOrPath: string, baseFolder: string): Promise<TokenizerDescriptor> {
  const encoding = tiktokenName(nameOrPath);
  if (encoding !== undefined) return resolveTiktoken(nameOrPath, encoding);
  const path = resolve(baseFolder, nameOrPath);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined && !/[/\\]|\.json$/.test(nameOrPath)) throw unknownName(nameOrPath);
  const file = found?.isDirectory() ? join(path, "tokenizer.json") : path;
  return (await readHuggingFace(file)).descriptor;
}

function unknownName(name: string): DoremiError {
  const nearest = TIKTOKEN_NAMES.map((known) => ({ known, distance: editDistance(name.toLowerCase(), known) })).sort(
    (a, b) => a.distance - b.distance,
  )[0];
  const hint = nearest !== undefined && nearest.distance <= 3 ? ` Did you mean ${nearest.known}?` : "";
  return new DoremiError(
    "bad-configuration",
    "unknown-tokenizer",
    `tokenizer ${JSON.stringify(name)}: must be one of ${TIKTOKEN_NAMES.join(", ")}, or the path of a tokenizer.json; ` +
      `it is no such name and no such file.${hint}`,
  );
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
