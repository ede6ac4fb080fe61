/** main: trains a model on given weights as the reference is trained, looks at its held-out loss on the way and keeps it by document. */
import { join } from "node:path";
import { openTokenStore, tokenWindows } from "../../formats/token-store.ts";
import type { Stage, StageContext } from "../stage.ts";
import { modelReference, trainModel } from "../training.ts";
import { TRAJECTORY } from "../trajectory.ts";
import { type MainInput, type MainOutput, mainInput, mainOutput } from "./contract.ts";
import { lookAmong, looksOf } from "./curve.ts";
import { documentLosses } from "./documents.ts";

export const main: Stage<MainInput, MainOutput> = {
  name: "main",
  version: 2,
  reads: ["tokenize"],
  input: mainInput,
  output: mainOutput,
  async run(input, context) {
    const { weights, looks, model, seed } = input;
    const result = await trainModel({ stage: "reference", input, context, weights, looks });
    const heldOut = await heldOutStores(input, context);
    const way = await looksOf(join(context.folder, TRAJECTORY), weights.length);
    const end = lookAmong(
      result.sequences,
      heldOut.map((store) => store.sequences),
      looks.sequences,
    );
    return {
      model: await modelReference(context),
      seed,
      steps: result.steps,
      trainedTokens: result.trainedTokens,
      finalLoss: result.finalLoss,
      evaluation: result.evaluation,
      documents: result.sequences.map((sums, k) => documentLosses(sums, heldOut[k]!.lengths, model.sequenceLength)),
      curve: { steps: [...way.steps, result.steps], loss: [...way.loss.map((losses) => [...losses]), end] },
      dataWait: result.dataWait,
      notes: [...result.notes],
      warnings: [...result.warnings],
    };
  },
};

interface HeldOutStore {
  /** tokens of each document */
  readonly lengths: ArrayLike<number>;
  readonly sequences: number;
}

/** By domain; nothing where it holds nothing out. */
async function heldOutStores({ tokens, model }: MainInput, context: StageContext): Promise<HeldOutStore[]> {
  const stores: HeldOutStore[] = [];
  for (const { heldOut } of tokens.domains) {
    if (!heldOut) {
      stores.push({ lengths: [], sequences: 0 });
      continue;
    }
    const store = await openTokenStore(join(context.folderOf("tokenize"), heldOut.path));
    const { sequences } = tokenWindows(store, model.sequenceLength, { tail: true });
    stores.push({ lengths: store.lengths, sequences });
    store.close();
  }
  return stores;
}
