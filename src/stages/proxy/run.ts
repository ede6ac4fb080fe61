/**
 * proxy: trains the second small model with DoReMi (Xie et al. 2023, Algorithm 1). Domains are sampled uniformly; the
 * result is the average of the domain weights over the steps.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import type { Stage } from "../stage.ts";
import { byName, modelReference, TRAJECTORY, trainModel } from "../training.ts";
import { type ProxyInput, type ProxyOutput, proxyInput, proxyOutput } from "./contract.ts";

export const WEIGHTS = "weights.json";

export const proxy: Stage<ProxyInput, ProxyOutput> = {
  name: "proxy",
  version: 3,
  input: proxyInput,
  output: proxyOutput,
  async run(input, context) {
    const names = input.tokens.domains.map((domain) => domain.name);
    const { eta, smoothing, settle, accumulation, model } = input;
    const result = await trainModel({
      stage: "proxy",
      input,
      context,
      weights: names.map(() => 1),
      proxy: {
        doremi: { eta, smoothing, ...(settle && { settle }) },
        reference: { folder: join(context.folderOf("reference"), input.reference.path), demands: model },
        referenceSha256: input.reference.sha256,
        accumulation,
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
      dataWait: result.dataWait,
      notes: [...result.notes],
    };
  },
};
