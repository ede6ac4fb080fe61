/** `train.proxy`: the model that learns the domain weights. */
import { z } from "zod";
import type { ObjectiveSettings } from "../../mixture/objective-settings.ts";
import { objective } from "../../stages/proxy/objective.ts";
import type { SettingFault } from "../../trainer/settings.ts";
import { fraction, positiveInteger, refuse } from "./common.ts";

const shares = z.enum(["uniform", "reference"]).optional();

const settings = z.strictObject({
  steps: positiveInteger.default(1000).describe("Batches that the proxy is trained on."),
  objective: objective.prefault("doremi"),
  eta: z.number().positive().optional().describe("Short for objective: { name: doremi, eta }."),
  smoothing: fraction.optional().describe("Short for objective: { name: doremi, smoothing }."),
  start: shares.describe(
    "Domain weights before the first step: uniform, or the reference's. Default: uniform; reference where the loss is token-weighted.",
  ),
  sampling: shares.describe(
    "Shares that batches draw from the domains. Default: uniform; reference where the loss is token-weighted.",
  ),
  evaluateEvery: positiveInteger
    .optional()
    .describe("Steps between looks at the held-out loss. Default: 8 looks, at as much text as costs 2 % of the time."),
  trace: z
    .boolean()
    .default(true)
    .describe(
      "Keep what the objective saw of each step, for doremi replay: about 27 bytes a sequence and step. Another choice later trains the proxy again.",
    ),
  referenceLosses: z
    .enum(["resident", "cached", "auto"])
    .default("auto")
    .describe(
      "The reference runs beside the proxy (resident), or its losses are computed once for every sequence and kept in the cache folder (cached). auto: cached where that is less work.",
    ),
  settle: z
    .strictObject({
      tolerance: z.number().positive().max(1).describe("Largest difference of a domain's mean weight, 0 to 1."),
      every: positiveInteger.default(100).describe("Steps between looks."),
    })
    .optional()
    .describe(
      "Stop early, once the weights averaged over the first half of the steps so far and over the second differ by less than the tolerance. Default: train all steps.",
    ),
});

type Settings = z.output<typeof settings>;

function faults({ objective, evaluateEvery, ...short }: Settings): SettingFault[] {
  const misplaced = (["eta", "smoothing"] as const).filter(
    (setting) => short[setting] !== undefined && objective.name !== "doremi",
  );
  const unseen = objective.name === "group-dro" && objective.adjustment === "held-out" && evaluateEvery === undefined;
  return [
    ...misplaced.map((setting) => ({
      setting,
      rule: `be left out for the objective ${objective.name}`,
      found: short[setting],
      remedy: "its settings stand in objective: { name, … }",
    })),
    ...(unseen
      ? [{ setting: "evaluateEvery", rule: "be given for an adjustment that is held-out", found: evaluateEvery }]
      : []),
  ];
}

/** The one objective that samples by other weights than it optimises, and corrects for it. */
function isTokenWeighted(objective: ObjectiveSettings): boolean {
  return objective.name === "doremi" && objective.loss === "token-weighted";
}

export const proxy = settings.check(refuse(faults)).transform(({ eta, smoothing, ...given }) => {
  const short = { ...(eta !== undefined && { eta }), ...(smoothing !== undefined && { smoothing }) };
  const objective: ObjectiveSettings = { ...given.objective, ...short };
  const usual = isTokenWeighted(objective) ? "reference" : "uniform";
  return { ...given, objective, start: given.start ?? usual, sampling: given.sampling ?? usual };
});
