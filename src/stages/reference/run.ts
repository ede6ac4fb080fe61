/** reference: trains the small model that excess loss is measured against, on the baseline weights. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { diagnoseModel } from "../../trainer/diagnosis.ts";
import { modelFiles } from "../../trainer/model-folder.ts";
import type { Stage } from "../stage.ts";
import { byName, evaluateModel, MODEL_FOLDER, modelReference, trainModel } from "../training.ts";
import { type ReferenceInput, type ReferenceOutput, referenceInput, referenceOutput } from "./contract.ts";

export const reference: Stage<ReferenceInput, ReferenceOutput> = {
  name: "reference",
  version: 4,
  reads: ["tokenize"],
  input: referenceInput,
  output: referenceOutput,
  streams: true,
  async run(input, context) {
    const names = input.tokens.domains.map((domain) => domain.name);
    const { weights, weightsFrom, external, model } = input;
    const common = { weights: byName(names, weights), weightsFrom };
    const request = { stage: "reference", input, context, weights } as const;
    if (!external) {
      const { steps, trainedTokens, finalLoss, evaluation, dataWait, notes, warnings } = await trainModel(request);
      const trained = await modelReference(context);
      const said = { notes: [...notes], warnings: [...warnings] };
      return { ...common, model: trained, steps, trainedTokens, finalLoss, evaluation, dataWait, ...said };
    }
    const evaluation = await evaluateModel(request, { folder: external.path, demands: model });
    for (const file of await modelFiles(external.path))
      await cp(join(external.path, file), join(context.folder, MODEL_FOLDER, file), { recursive: true });
    const copied = await modelReference(context);
    const warnings = diagnoseModel(evaluation, model.vocabularySize);
    for (const warning of warnings) context.emit({ type: "warning", stage: "reference", ...warning });
    const untrained = { steps: 0, trainedTokens: 0, finalLoss: null, dataWait: null, notes: [], warnings };
    return { ...common, model: copied, ...untrained, evaluation };
  },
};
