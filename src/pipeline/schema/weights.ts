/** Domain weights wherever a pipeline file gives some: by a method, as a table, or from a file. */
import { z } from "zod";
import { SIMULATION_DEFAULTS } from "../../mixture/regression/simulation.ts";
import { TREE_DEFAULTS } from "../../mixture/regression/trees.ts";
import { name, positiveInteger } from "./common.ts";

/** `{domain: weight}`, at least one positive. */
const weightTable = z.record(name, z.number().min(0));
// Aborting, so that another word is told of all that might have been meant.
const weightsFile = z.string().endsWith(".json", { abort: true });
const csvFile = z.string().endsWith(".csv", { abort: true });
const maxEpochs = z.number().positive();
const budgetTokens = positiveInteger
  .optional()
  .describe("Tokens that the caps are shares of. Default: resample.budgetTokens, where that is a number.");

const temperature = z.strictObject({
  temperature: z
    .number()
    .positive()
    .describe("τ: weights in proportion to tokens^(1/τ). 1 is natural; mT5 and XLM-R took 3.3; high is uniform."),
});
const exponent = z.strictObject({
  exponent: z.number().min(0).describe("Weights in proportion to tokens^exponent: 1 is natural, 0 uniform."),
});

const unimax = z.strictObject({
  unimax: z
    .strictObject({
      maxEpochs: maxEpochs.default(4).describe("No domain is repeated more often."),
      budgetTokens,
    })
    .describe("As uniform as can be within the epoch cap (UniMax, Chung et al. 2023)."),
});

/** Weights that ask for nothing but the domains' sizes. */
const sized = [z.enum(["natural", "uniform"]), temperature, exponent, unimax] as const;

const regression = z.strictObject({
  regression: z
    .strictObject({
      runs: z
        .union([csvFile, z.strictObject({ mixtures: csvFile, losses: csvFile })])
        .describe(
          "CSV of small runs, a row each: the weights of the domains, then the losses; or two files, joined by a column run, run_id, index, id or name.",
        ),
      columns: z.record(name, z.string()).default({}).describe("Column of a domain, where names do not say it."),
      target: z
        .union([
          z.string().min(1),
          z.array(z.string().min(1)).min(1),
          z.record(z.string().min(1), z.number().positive()),
        ])
        .optional()
        .describe("What to minimise: a column of losses, some to average, or a table of their weights. Default: all."),
      fit: z
        .enum(["log-linear", "linear", "trees"])
        .default("log-linear")
        .describe("Law of the losses: c + exp(b·x), which carries over to larger models best; b·x; boosted trees."),
      search: z
        .enum(["exact", "simulate"])
        .optional()
        .describe(
          "The law's optimum, or RegMix's mean of the best of many random mixtures. Default: exact, for trees simulate.",
        ),
      prior: z
        .union([...sized, weightTable, weightsFile])
        .default("natural")
        .describe("Mixture that kl and the simulation start from."),
      kl: z
        .number()
        .min(0)
        .optional()
        .describe("Loss that a nat of KL divergence from the prior costs. Default: 0.1, in a simulation 0."),
      maxEpochs: maxEpochs.optional().describe("No domain gets more than so many epochs of the budget. Default: any."),
      budgetTokens,
      candidates: positiveInteger
        .max(10_000_000)
        .default(SIMULATION_DEFAULTS.candidates)
        .describe("simulate: random mixtures."),
      best: positiveInteger.default(SIMULATION_DEFAULTS.best).describe("simulate: so many of them are averaged."),
      concentration: z
        .number()
        .positive()
        .default(SIMULATION_DEFAULTS.concentration)
        .describe("simulate: of the Dirichlet distribution around the prior; higher is nearer to it."),
      trees: z
        .strictObject({
          rounds: positiveInteger.default(TREE_DEFAULTS.rounds),
          learningRate: z.number().positive().max(1).default(TREE_DEFAULTS.learningRate),
          maxLeaves: z.int().min(2).default(TREE_DEFAULTS.maxLeaves),
          minLeafRuns: positiveInteger.default(TREE_DEFAULTS.minLeafRuns),
        })
        .prefault({})
        .describe("fit: trees."),
      seed: z.int().min(0).optional().describe("Of folds and random mixtures. Default: the pipeline's."),
    })
    .transform(({ search, kl, ...rest }) => {
      const chosen = search ?? (rest.fit === "trees" ? "simulate" : "exact");
      return { ...rest, search: chosen, kl: kl ?? (chosen === "exact" ? 0.1 : 0) };
    })
    .refine(({ fit, search }) => fit !== "trees" || search === "simulate", {
      path: ["search"],
      message: "must be simulate for trees, which have no slope",
    })
    .describe("Mixture of the lowest predicted loss, by a law fitted on small runs (RegMix, Olmix)."),
});

/** The table last among tables: it takes any name that a method has not. */
export const weights = z.union([...sized, regression, weightTable, weightsFile]);

export type WeightsSetting = z.output<typeof weights>;
export type RegressionSetting = z.output<typeof regression>["regression"];
