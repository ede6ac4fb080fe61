/** reference: trains the small model that excess loss is measured against, on the baseline weights. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { loadModel, MODEL_FILES } from "../../trainer/model-folder.ts";
import type { Stage } from "../stage.ts";
import { byName, withTraining } from "../training.ts";
import { type ReferenceInput, type ReferenceOutput, referenceInput, referenceOutput } from "./contract.ts";

export const reference: Stage<ReferenceInput, ReferenceOutput> = {
  name: "reference",
  version: 2,
  input: referenceInput,
  output: referenceOutput,
  run: (input, context) =>
    withTraining(input, context, async (training) => {
      const names = input.tokens.domains.map((domain) => domain.name);
      const common = { weights: byName(names, input.weights), weightsFrom: input.weightsFrom, notes: [] };
      if (input.external) {
        const weights = await loadModel(input.external.path, input.model);
        for (const file of MODEL_FILES) {
          await cp(join(input.external.path, file), join(context.folder, "model", file), { recursive: true });
        }
        return {
          ...common,
          model: await training.modelReference(),
          steps: 0,
          trainedTokens: 0,
          finalLoss: null,
          evaluation: await training.evaluate(weights),
        };
      }
      const batches = await training.batches("reference", input.weights);
      const { finalLoss, trainedTokens, evaluation } = await training.train("reference", { batches });
      return {
        ...common,
        model: await training.modelReference(),
        steps: input.steps,
        trainedTokens,
        finalLoss,
        evaluation,
      };
    }),
};
