/**
 * proxy: trains the second small model with DoReMi (Xie et al. 2023, Algorithm 1). Domains are sampled uniformly; the
 * result is the average of the domain weights over the steps.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { LossModel } from "../../trainer/evaluate.ts";
import { loadModel } from "../../trainer/model-folder.ts";
import type { Stage } from "../stage.ts";
import { byName, TRAJECTORY, withTraining } from "../training.ts";
import { type ProxyInput, type ProxyOutput, proxyInput, proxyOutput } from "./contract.ts";

export const WEIGHTS = "weights.json";

export const proxy: Stage<ProxyInput, ProxyOutput> = {
  name: "proxy",
  version: 2,
  input: proxyInput,
  output: proxyOutput,
  run: (input, context) =>
    withTraining(input, context, async (training) => {
      const names = input.tokens.domains.map((domain) => domain.name);
      const batches = await training.batches(
        "proxy",
        names.map(() => 1),
      );
      const referenceWeights = await loadModel(join(context.folderOf("reference"), input.reference.path), input.model);
      const losses = await LossModel.load(training.engine, referenceWeights, input.batchSize);
      const { eta, smoothing } = input;
      const result = await training
        .train("proxy", { batches, doremi: { eta, smoothing, reference: losses } })
        .finally(() => losses.close());
      const weights = byName(names, toSumOne(result.average!));
      await writeFileAtomic(join(context.folder, WEIGHTS), `${JSON.stringify(weights, null, 2)}\n`);
      return {
        weights,
        finalAlpha: byName(names, toSumOne(result.alpha!)),
        model: await training.modelReference(),
        steps: input.steps,
        trainedTokens: result.trainedTokens,
        finalLoss: result.finalLoss,
        evaluation: result.evaluation,
        trajectory: TRAJECTORY,
        notes: [],
      };
    }),
};

/** The graph keeps alpha in float32, whose sum is 1 only to its rounding; what others read adds up in float64. */
function toSumOne(alpha: Float64Array): Float64Array {
  const sum = alpha.reduce((total, weight) => total + weight, 0);
  return alpha.map((weight) => weight / sum);
}
