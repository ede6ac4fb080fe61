/**
 * From the name or path that a user writes to a tokenizer's descriptor. Reads and checks the vocabulary, so that a bad
 * one is reported before any work starts; builds nothing.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DoremiError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { isRemote, joinLocation, resolveLocation } from "../storage/location.ts";
import { readHuggingFace } from "./huggingface.ts";
import { resolveTiktoken, TIKTOKEN_NAMES, tiktokenName } from "./tiktoken.ts";
import type { SpecialTokens, TokenizerDescriptor } from "./tokenizer.ts";

/** As models are called on the Hugging Face hub: organisation/model. */
const HUB_NAME = /^\w[\w.-]*\/[\w.-]+(?<!\.json)$/;

/**
 * @param nameOrPath `r50k`, `gpt2`, `cl100k_base`, …, or the path or URI of a tokenizer.json (or of the folder that holds it)
 * @param baseFolder what a relative path is relative to
 * @param specialTokens what text of special tokens is
 * @throws DoremiError unknown-tokenizer, missing-file, bad-tokenizer, unsupported-tokenizer, missing-vocabulary
 */
export async function resolveTokenizer(
  nameOrPath: string,
  baseFolder: string,
  specialTokens: SpecialTokens = "text",
): Promise<TokenizerDescriptor> {
  const encoding = tiktokenName(nameOrPath);
  if (encoding !== undefined) return resolveTiktoken(nameOrPath, encoding, specialTokens);
  const path = resolveLocation(baseFolder, nameOrPath);
  if (isRemote(path)) {
    const uri = path.endsWith(".json") ? path : joinLocation(path, "tokenizer.json");
    return (await readHuggingFace(uri, specialTokens)).descriptor;
  }
  const found = await stat(path).catch(() => undefined);
  const isPath = /[/\\]|\.json$/.test(nameOrPath) && !HUB_NAME.test(nameOrPath);
  if (found === undefined && !isPath) throw unknownName(nameOrPath);
  const file = found?.isDirectory() ? join(path, "tokenizer.json") : path;
  return (await readHuggingFace(file, specialTokens)).descriptor;
}

function unknownName(name: string): DoremiError {
  return new DoremiError(
    "bad-configuration",
    "unknown-tokenizer",
    `tokenizer ${JSON.stringify(name)}: must be one of ${TIKTOKEN_NAMES.join(", ")}, or the path of a tokenizer.json; ` +
      `it is no such name and no such file${didYouMean(name, TIKTOKEN_NAMES)}${hubRemedy(name)}`,
  );
}

function hubRemedy(name: string): string {
  if (!HUB_NAME.test(name)) return "";
  return "; nothing is fetched from a hub: download the model's tokenizer.json from its page there, and give the file's path";
}
