/**
 * The proxy's objective as a pipeline file or a command line has it: a name, or a table with some settings of the many.
 * Everything that is left out gets its default here; what is complete already stays as it is.
 */
import { z } from "zod";
import { DOREMI_PRESETS, OBJECTIVE_NAMES, type ObjectiveSettings } from "../../mixture/objective-settings.ts";

const share = z.number().positive().max(1);

const doremi = z
  .strictObject({
    name: z.literal("doremi").optional(),
    preset: z
      .enum(["paper", "official"])
      .default("paper")
      .describe("What else is left out: as Algorithm 1 of the paper has it, or as the official code computes it."),
    eta: z.number().positive().optional().describe("Step size of the domain-weight update. Default: 1."),
    smoothing: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe("c: share of smoothToward mixed in after each update. Default: 1e-3."),
    clip: z
      .enum(["token", "domain"])
      .optional()
      .describe("Excess loss is clipped at 0 token by token, or after the mean over a domain. Default: token."),
    missing: z
      .enum(["zero", "carry", "skip"])
      .optional()
      .describe("Excess of a domain that is not in a batch: 0, its last one, or none, which keeps its weight."),
    carryStart: z
      .enum(["zero", "ln-vocabulary"])
      .optional()
      .describe("carry: excess of a domain that was in no batch yet: 0, or ln V."),
    smoothToward: z.enum(["uniform", "reference"]).optional().describe("reference: the weights of the reference."),
    average: z
      .enum(["without-start", "with-start"])
      .optional()
      .describe("Whether the mean of the weights counts those before the first step."),
    loss: z
      .enum(["domain-mean", "token-weighted"])
      .optional()
      .describe("Mean of each domain's mean loss, or mean over tokens weighted by weight ÷ sampling share."),
  })
  .transform(({ name: _, preset, ...given }): ObjectiveSettings => {
    const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    return { ...DOREMI_PRESETS[preset], ...set };
  });

const groupDro = z.strictObject({
  name: z.literal("group-dro"),
  stepSize: z.number().min(0).default(0.01).describe("η of the online update."),
  adjustment: z
    .union([z.number().min(0), z.literal("held-out")])
    .default(0)
    .describe(
      "C of the generalization adjustment C ÷ √n over a domain's n training sequences; 0 = none; held-out: what held-out loss exceeds training loss by, which needs evaluateEvery.",
    ),
  adjustments: z
    .array(z.number().min(0).nullable())
    .nullable()
    .default(null)
    .describe("C of single domains, in their order; null = adjustment."),
  normalizeLoss: z.boolean().default(false).describe("Divide each loss by the sum of all before the update."),
  update: z
    .enum(["online", "best-response"])
    .default("online")
    .describe("best-response: greedily by the running losses (btl)."),
  fraction: share.default(0.2).describe("best-response: share of the training data that the weight is spread over."),
  decay: share.default(0.1).describe("Of the running losses: share of the newest."),
  minWeight: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("best-response: least weight, as a share of a domain's share of the data."),
});

const topicCvar = z.strictObject({
  name: z.literal("topic-cvar"),
  fraction: share.default(0.2).describe("α: a domain's weight is at most its share of the tokens ÷ α."),
  decay: share.default(0.1).describe("Of the running losses: share of the newest."),
  baseline: z.enum(["none", "reference"]).default("reference").describe("What is taken off each loss."),
});

const ball = <Name extends "cvar" | "chi-square" | "kl">(name: Name, size: z.ZodDefault<z.ZodNumber>) =>
  z.strictObject({
    name: z.literal(name),
    size,
    regularization: z.number().min(0).default(0).describe("Weight of the penalty on leaving the uniform weights."),
    over: z.enum(["domains", "sequences"]).default("domains"),
    losses: z.enum(["loss", "excess"]).default("excess").describe("excess: over the reference's."),
  });

const table = z.discriminatedUnion("name", [
  doremi,
  groupDro,
  topicCvar,
  ball("cvar", share.default(0.5).describe("α: share of the domains or sequences that the weight is spread over.")),
  ball("chi-square", z.number().min(0).default(1).describe("ρ: ½ mean (m·p − 1)² is at most this.")),
  ball("kl", z.number().min(0).default(0.5).describe("κ: KL divergence from uniform, nats, is at most this.")),
  z.strictObject({ name: z.literal("erm") }),
]);

/** @returns with every default filled in */
export const objective = z
  .union([z.enum(OBJECTIVE_NAMES).transform((name): ObjectiveSettings => table.parse({ name })), table])
  .describe("What the proxy is trained for; a name, or a table with its settings.");

/** Complete already: an input of a stage. */
export const completeObjective = table as unknown as z.ZodType<ObjectiveSettings>;
