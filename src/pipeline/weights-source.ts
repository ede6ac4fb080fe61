/**
 * Weights as a pipeline file or a command line says them, with the files that they name read: what is left to know is
 * the domains and their sizes.
 */
import { readFile } from "node:fs/promises";
import { parseCsv } from "../lib/csv.ts";
import { DoremiError } from "../lib/errors.ts";
import type { RunTables } from "../mixture/regression/pairs.ts";
import type { Targets } from "../mixture/regression/runs.ts";
import type { RegressionSettings } from "../mixture/regression.ts";
import { parseWeightsTable } from "../mixture/weights.ts";
import type { RegressionSetting, WeightsSetting } from "./schema/weights.ts";

/** From the domains' sizes alone. */
export type SizedSource =
  | { readonly kind: "natural" | "uniform" }
  | { readonly kind: "temperature"; readonly exponent: number }
  | { readonly kind: "unimax"; readonly maxEpochs: number; readonly budgetTokens: number };

/** Still to be matched with the domains. */
export interface TableSource {
  readonly kind: "table";
  /** that names it */
  readonly setting: string;
  readonly table: Readonly<Record<string, unknown>>;
  /** the setting, or the file that it names */
  readonly from: string;
  readonly file?: string;
}

export interface RegressionSource {
  readonly kind: "regression";
  readonly tables: RunTables;
  readonly columns: Readonly<Record<string, string>>;
  readonly targets: Targets;
  readonly settings: RegressionSettings;
  readonly prior: SizedSource | TableSource;
  /** null = no caps */
  readonly cap: { readonly maxEpochs: number; readonly budgetTokens: number } | null;
  /** the files as the setting names them */
  readonly from: string;
}

export type WeightsSource = { readonly kind: "learned" } | SizedSource | TableSource | RegressionSource;

export interface WeightsContext {
  /** the setting's name, for messages */
  readonly setting: string;
  /** a path as written, made absolute */
  resolve(path: string): string;
  readonly seed: number;
  /** where a method needs a budget and is given none */
  readonly budgetTokens: number | "auto";
}

/** @throws DoremiError missing-file, bad-json, bad-csv, needs-budget */
export async function readWeights(
  weights: WeightsSetting | "learned",
  context: WeightsContext,
): Promise<WeightsSource> {
  if (weights === "learned") return { kind: weights };
  if (isRegression(weights)) return readRegression(weights.regression, context);
  return readSized(weights, context);
}

async function readSized(
  weights: Exclude<WeightsSetting, { regression: RegressionSetting }>,
  context: WeightsContext,
): Promise<SizedSource | TableSource> {
  if (weights === "natural" || weights === "uniform") return { kind: weights };
  if (typeof weights === "string") {
    const path = context.resolve(weights);
    const table = parseWeightsTable(await readFile(path, "utf8"), path);
    return { kind: "table", setting: context.setting, table, from: path, file: path };
  }
  const { temperature, exponent, unimax } = weights as Partial<Record<string, number>> & { unimax?: UniMaxSetting };
  const [only, ...others] = Object.keys(weights);
  if (others.length === 0) {
    if (only === "temperature") return { kind: "temperature", exponent: 1 / temperature! };
    if (only === "exponent") return { kind: "temperature", exponent: exponent! };
    if (typeof unimax === "object") {
      return { kind: "unimax", maxEpochs: unimax.maxEpochs, budgetTokens: budgetOf(unimax, "unimax", context) };
    }
  }
  const { setting } = context;
  return { kind: "table", setting, table: weights as Readonly<Record<string, number>>, from: setting };
}

interface UniMaxSetting {
  readonly maxEpochs: number;
  readonly budgetTokens?: number | undefined;
}

async function readRegression(setting: RegressionSetting, context: WeightsContext): Promise<RegressionSource> {
  const { runs, columns, target, maxEpochs, fit, search, kl, candidates, best, concentration, trees } = setting;
  const readTable = async (path: string) => {
    const absolute = context.resolve(path);
    return parseCsv(await readFile(absolute, "utf8"), absolute);
  };
  const mixtures = await readTable(typeof runs === "string" ? runs : runs.mixtures);
  const losses = typeof runs === "string" ? mixtures : await readTable(runs.losses);
  const seed = setting.seed ?? context.seed;
  return {
    kind: "regression",
    tables: { mixtures, losses },
    columns,
    targets: targetsOf(target),
    settings: {
      fit,
      search,
      kl,
      candidates,
      best,
      concentration,
      seed,
      trees: { ...trees, maxDepth: Number.POSITIVE_INFINITY },
    },
    prior: await readSized(setting.prior, { ...context, setting: `${context.setting}.regression.prior` }),
    cap: maxEpochs === undefined ? null : { maxEpochs, budgetTokens: budgetOf(setting, "regression", context) },
    from: typeof runs === "string" ? runs : `${runs.mixtures}, ${runs.losses}`,
  };
}

function isRegression(weights: WeightsSetting): weights is { regression: RegressionSetting } {
  return typeof weights === "object" && "regression" in weights && typeof weights.regression === "object";
}

function targetsOf(target: RegressionSetting["target"]): Targets {
  if (target === undefined) return null;
  if (typeof target === "string") return { [target]: 1 };
  return Array.isArray(target) ? Object.fromEntries(target.map((name) => [name, 1])) : target;
}

function budgetOf(
  { budgetTokens }: { readonly budgetTokens?: number | undefined },
  method: string,
  context: WeightsContext,
): number {
  const budget = budgetTokens ?? context.budgetTokens;
  if (budget !== "auto") return budget;
  throw new DoremiError(
    "bad-configuration",
    "needs-budget",
    `${context.setting}: ${method} caps epochs of a budget, and there is none to take; give ${method} budgetTokens, or set resample.budgetTokens to a number`,
  );
}
