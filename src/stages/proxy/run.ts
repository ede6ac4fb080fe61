/**
 * proxy: trains the second small model on an objective over domains, such as DoReMi's (Xie et al. 2023, Algorithm 1). The
 * result is the average of the domain weights over the steps.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import type { Stage } from "../stage.ts";
import { TRACE } from "../trace.ts";
import { byName, modelReference, trainModel } from "../training.ts";
import { TRAJECTORY } from "../trajectory.ts";
import { type ProxyInput, type ProxyOutput, proxyInput, proxyOutput } from "./contract.ts";

export const WEIGHTS = "weights.json";

export const proxy: Stage<ProxyInput, ProxyOutput> = {
  name: "proxy",
  version: 4,
  reads: ["tokenize", "reference"],
  input: proxyInput,
  output: proxyOutput,
  async run(input, context) {
    const names = input.tokens.domains.map((domain) => domain.name);
    const { objective, start, sampling, referenceWeights, sizes, settle, accumulation, model, reference } = input;
    const result = await trainModel({
      stage: "proxy",
      input,
      context,
      remarks: stepSizeRemarks(objective, input.steps),
      weights: sampling,
      evaluateEvery: input.evaluateEvery,
      proxy: {
        objective,
        facts: {
          domains: names.length,
          start,
          sampling,
          reference: referenceWeights,
          sizes,
          sequenceLength: model.sequenceLength,
          vocabularySize: model.vocabularySize,
        },
        ...(settle && { settle }),
        reference: reference && { folder: join(context.folderOf("reference"), reference.path), demands: model },
        referenceSha256: reference?.sha256 ?? "",
        accumulation,
        trace: input.trace,
      },
    });
    const weights = byName(names, result.average!);
    await writeFileAtomic(join(context.folder, WEIGHTS), `${JSON.stringify(weights, null, 2)}\n`);
    return {
      weights,
      finalAlpha: byName(names, result.alpha!),
      model: await modelReference(context),
      steps: result.steps,
      trainedTokens: result.trainedTokens,
      finalLoss: result.finalLoss,
      evaluation: result.evaluation,
      trajectory: TRAJECTORY,
      trace: input.trace ? TRACE : null,
      dataWait: result.dataWait,
      notes: [...result.notes],
      warnings: [...result.warnings],
    };
  },
};

/** The paper's eta of 1 goes with its 200,000 steps; from a tenth of them on it is nobody's oversight. */
const MANY_STEPS = 20_000;

/** Told before the training, since it may take hours; what comes of it the diagnosis says. */
function stepSizeRemarks(objective: ProxyInput["objective"], steps: number): string[] {
  if (objective.name !== "doremi" || objective.eta < 1 || steps >= MANY_STEPS) return [];
  return [
    `eta is ${objective.eta}, and the paper's 1 is for 200,000 steps: over ${steps} the weights may swing; 0.1 lets them settle in a training of some hundreds or thousands (train.proxy.eta)`,
  ];
}
