/**
 * Our side of the recipe: in each round a reference on the weights of the round before, and a proxy whose averaged domain
 * weights are the next. Where the recipe says so, ids that do not occur are left out first, as `train.vocabulary: occurring`
 * does. A process of its own, timed from start to exit. Prints one line of JSON.
 *
 *   recipe.ts FOLDER SEED THREADS
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import { openTokenStore, tokenWindows } from "../../src/formats/token-store.ts";
import { uniformFacts } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { createBatchSource, type SequenceReader } from "../../src/trainer/batches.ts";
import type { ModelConfig } from "../../src/trainer/contract.ts";
import { LossModel } from "../../src/trainer/evaluate.ts";
import { train } from "../../src/trainer/train.ts";
import { cutReader, OccurringIds } from "../../src/trainer/vocabulary.ts";
import type { RecipeLine } from "./measure.ts";
import type { Recipe } from "./stores.ts";

const [folder, seedText, threads] = process.argv.slice(2) as [string, string, string];
const seed = Number(seedText);
const recipe: Recipe = JSON.parse(readFileSync(join(folder, "recipe.json"), "utf8"));
const { optimizer, steps, batchSize, doremi } = recipe;
const stores = await Promise.all(recipe.domains.map(({ store }) => openTokenStore(join(folder, store))));
const { readers, model } = vocabularyOf(recipe);
const engine = await createCpuEngine({ threads: Number(threads) });
/** @param weights of the domains @param draws tells the models' batches apart */
const batches = (weights: readonly number[], draws: string) =>
  createBatchSource({ readers, weights, batchSize, sequenceLength: model.sequenceLength, seed: Number(draws) });

let weights: readonly number[] = recipe.weights;
const rounds: number[][] = [];
for (let round = 0; round < recipe.rounds; round++) {
  const common = { engine, model, optimizer, steps, seed };
  const reference = await train({ ...common, batches: batches(weights, `${seed}${round}0`) });
  const losses = await LossModel.load(engine, reference.weights, batchSize);
  const proxy = await train({
    ...common,
    batches: batches(
      readers.map(() => 1),
      `${seed}${round}1`,
    ),
    proxy: {
      objective: { ...DOREMI_PRESETS.paper, eta: doremi.eta, smoothing: doremi.smoothing },
      facts: uniformFacts(readers.length, model),
      reference: losses,
    },
  });
  await losses.close();
  weights = [...proxy.average!];
  rounds.push([...weights]);
}
await engine.close();
for (const store of stores) store.close();
const line: RecipeLine = { rounds };
console.log(JSON.stringify(line));

/** What the models read, and their sizes: all ids of the tokenizer, or the places of those that occur. */
function vocabularyOf({ model, occurring }: Recipe): { readers: SequenceReader[]; model: ModelConfig } {
  const readers = stores.map((store) => tokenWindows(store, model.sequenceLength));
  if (!occurring) return { readers, model };
  const found = new OccurringIds(model.vocabularySize);
  for (const store of stores) found.add(store.read(0, store.tokens));
  const ids = found.ids();
  return {
    readers: readers.map((reader) => cutReader(reader, ids)),
    model: { ...model, vocabularySize: ids.length },
  };
}
