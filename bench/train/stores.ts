/** Token stores of the quickstart's text in a tokenizer's ids, and the recipe on them as a file that both sides read. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TokenStoreWriter } from "../../src/formats/token-store.ts";
import { readCorpus } from "../../src/stages/streams.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { ModelConfig, OptimizerConfig } from "../../src/trainer/contract.ts";
import { learningRateAt } from "../../src/trainer/optimizer.ts";
import { OPTIMIZER, type RecipeName } from "./cases.ts";

/** `recipe.json` */
export interface Recipe {
  /** of the tokenizer */
  readonly model: ModelConfig;
  /** whether our side trains on the ids alone that occur in the stores */
  readonly occurring: boolean;
  readonly batchSize: number;
  /** of a reference, and of a proxy */
  readonly steps: number;
  readonly rounds: number;
  readonly optimizer: OptimizerConfig;
  /** learning rate of each step */
  readonly rates: readonly number[];
  /** a tenth of the paper's eta, whose steps are 200,000 rather than a few dozen */
  readonly doremi: { readonly eta: number; readonly smoothing: number; readonly domains: number };
  /** store: path without .bin and .idx, from the recipe's folder */
  readonly domains: readonly { readonly name: string; readonly store: string }[];
  /** baseline of the first round: proportional to tokens */
  readonly weights: readonly number[];
}

const ROUNDS = 3;
const DATA = fileURLToPath(new URL("../../pipelines/quickstart/", import.meta.url));

export async function writeRecipe(folder: string, name: RecipeName, steps: number): Promise<Recipe> {
  await mkdir(folder, { recursive: true });
  const descriptor = await resolveTokenizer(name === "r50k" ? name : join(DATA, "tokenizer-4096.json"), ".");
  const tokenizer = await openTokenizer(descriptor);
  const writers = new Map<string, TokenStoreWriter>();
  for await (const { file, text } of readCorpus([join(DATA, "data/*/part-*")])) {
    const domain = basename(dirname(file));
    const writer = writers.get(domain) ?? (await TokenStoreWriter.create(join(folder, domain), descriptor));
    writers.set(domain, writer);
    for (let row = 0; row < text.rows; row++)
      await writer.write(tokenizer.encode(text.bytes.subarray(text.offsets[row], text.offsets[row + 1])));
  }
  for (const writer of writers.values()) await writer.commit();
  const optimizer = { ...OPTIMIZER, warmupSteps: Math.round(0.06 * steps) };
  const total = [...writers.values()].reduce((sum, { tokens }) => sum + tokens, 0);
  const recipe: Recipe = {
    model: {
      architecture: "gpt2",
      ...{ vocabularySize: descriptor.vocabularySize, sequenceLength: 128, width: 256, layers: 4, heads: 4 },
    },
    occurring: name === "r50k",
    ...{ batchSize: 8, steps, rounds: ROUNDS, optimizer },
    rates: Array.from({ length: steps }, (_, i) => learningRateAt(optimizer, i + 1, steps)),
    doremi: { eta: 0.1, smoothing: 1e-3, domains: writers.size },
    domains: [...writers.keys()].sort().map((name) => ({ name, store: name })),
    weights: [...writers.keys()].sort().map((name) => writers.get(name)!.tokens / total),
  };
  await writeFile(join(folder, "recipe.json"), JSON.stringify(recipe));
  return recipe;
}
