/**
 * Weights from the losses of small runs on different mixtures: fit a law, see how well it predicts runs that it was not
 * fitted on, and take the mixture at which it is lowest. RegMix (Liu et al. 2024) with trees and a simulation, Olmix and
 * Data Mixing Laws with a log-linear law and a convex optimum.
 */
import { DoremiError } from "../lib/errors.ts";
import { Rng } from "../lib/rng.ts";
import { combineLaws, type Law, type Mixture } from "./regression/law.ts";
import { fitLinear } from "./regression/linear.ts";
import { fitLogLinear } from "./regression/log-linear.ts";
import { type Constraints, optimalMixture } from "./regression/optimum.ts";
import { explainedVariance, spearman } from "./regression/quality.ts";
import type { MixtureRuns } from "./regression/runs.ts";
import { type SimulationSettings, simulatedMixture } from "./regression/simulation.ts";
import { fitTrees, type TreeSettings } from "./regression/trees.ts";

export interface RegressionSettings extends SimulationSettings {
  readonly fit: "log-linear" | "linear" | "trees";
  /** exact needs a law with a slope, which trees are not */
  readonly search: "exact" | "simulate";
  /** loss that a nat of KL(weights ‖ prior) costs */
  readonly kl: number;
  readonly trees: TreeSettings;
}

export interface Agreement {
  readonly spearman: number;
  /** share of the variance of the losses that the law explains */
  readonly r2: number;
}

export interface FitQuality {
  readonly target: string;
  readonly inSample: Agreement;
  /** each run predicted by a law fitted on the others' folds */
  readonly crossValidated: Agreement;
}

export interface FittedRegression {
  readonly law: Law;
  readonly runs: MixtureRuns;
  /** of what is minimised, and of each target where there are several */
  readonly quality: FitQuality;
  readonly targets: readonly FitQuality[];
}

export interface RegressionResult {
  readonly weights: Float64Array;
  readonly predictedLoss: number;
  /** at the prior */
  readonly priorLoss: number;
  /** why the weights may not be what they seem */
  readonly warnings: readonly string[];
}

const FOLDS = 5;
/** Below this rank correlation with unseen runs, the optimum is mostly noise. */
const POOR_FIT = 0.5;
/** One domain with more than this is a corner: the mixture is gone. */
const CORNER = 0.9;
/** A weight farther than this above all runs' is a guess. */
const BEYOND = 0.02;

/** @throws DoremiError few-runs where trees could not divide them */
export function fitRegression(runs: MixtureRuns, settings: RegressionSettings): FittedRegression {
  const { mixtures, targets } = runs;
  if (settings.fit === "trees") refuseFewForTrees(mixtures.length, settings.trees.minLeafRuns);
  const folds = foldsOf(mixtures.length, settings.seed);
  const total = weightedSum(
    targets,
    targets.map(({ losses }) => losses),
  );
  const fitAll = (name: string, losses: Float64Array) => fitTarget(name, mixtures, losses, folds, settings);
  // Trees of a mean are as good as a mean of trees, and one fit is quicker.
  const fits =
    settings.fit === "trees" ? [fitAll("all", total)] : targets.map(({ name, losses }) => fitAll(name, losses));
  const weights = settings.fit === "trees" ? [1] : targets.map(({ weight }) => weight);
  const name = targets.map((target) => target.name).join(", ");
  const predicted = weightedSum(
    weights.map((weight) => ({ weight })),
    fits.map((fit) => fit.predicted),
  );
  const unseen = weightedSum(
    weights.map((weight) => ({ weight })),
    fits.map((fit) => fit.unseen),
  );
  return {
    law: combineLaws(
      fits.map((fit) => fit.law),
      weights,
    ),
    runs,
    quality: qualityOf(name, predicted, unseen, total),
    targets: fits.length > 1 ? fits.map((fit) => qualityOf(fit.name, fit.predicted, fit.unseen, fit.losses)) : [],
  };
}

/** @throws DoremiError caps-below-one, no-optimum */
export function bestMixture(
  { law, runs, quality }: FittedRegression,
  { prior, caps }: Pick<Constraints, "prior" | "caps">,
  settings: RegressionSettings,
): RegressionResult {
  const constraints = { prior, caps, kl: settings.kl };
  const weights =
    settings.search === "exact" ? optimalMixture(law, constraints) : simulatedMixture(law, constraints, settings);
  return {
    weights,
    predictedLoss: law.predict(weights),
    priorLoss: law.predict(prior),
    warnings: [...fitWarnings(quality), ...placeWarnings(weights, caps, runs)],
  };
}

interface TargetFit {
  readonly name: string;
  readonly law: Law;
  readonly losses: Float64Array;
  /** of each run, by the law */
  readonly predicted: Float64Array;
  /** of each run, by a law that has not seen it */
  readonly unseen: Float64Array;
}

function fitTarget(
  name: string,
  mixtures: readonly Mixture[],
  losses: Float64Array,
  folds: readonly number[],
  settings: RegressionSettings,
): TargetFit {
  const fitter = fitterOf(settings);
  const law = fitter(mixtures, losses);
  const unseen = new Float64Array(losses.length);
  for (const fold of new Set(folds)) {
    const kept = [...losses.keys()].filter((run) => folds[run] !== fold);
    const part = fitter(
      kept.map((run) => mixtures[run]!),
      kept.map((run) => losses[run]!),
      law,
    );
    for (const run of losses.keys()) if (folds[run] === fold) unseen[run] = part.predict(mixtures[run]!);
  }
  return { name, law, losses, predicted: Float64Array.from(mixtures, (mixture) => law.predict(mixture)), unseen };
}

/** `near`: a law that the same fitter made of nearly the same runs. */
type Fitter = (mixtures: readonly Mixture[], losses: ArrayLike<number>, near?: Law) => Law;

function fitterOf({ fit, trees }: RegressionSettings): Fitter {
  switch (fit) {
    case "linear":
      return fitLinear;
    case "log-linear":
      return (mixtures, losses, near) => fitLogLinear(mixtures, losses, near as ReturnType<typeof fitLogLinear>);
    case "trees":
      return (mixtures, losses) => fitTrees(mixtures, losses, trees);
    default:
      return fit satisfies never;
  }
}

/** Runs that no tree could divide give a law that is the same everywhere, in the fit or in a fold of its validation. */
function refuseFewForTrees(runs: number, minLeafRuns: number): void {
  const kept = runs - Math.ceil(runs / Math.min(FOLDS, runs));
  if (kept >= 2 * minLeafRuns) return;
  throw new DoremiError(
    "bad-configuration",
    "few-runs",
    `regression: fit trees needs twice trees.minLeafRuns (${minLeafRuns}) runs in each fold of the cross-validation, found ${kept} of ${runs}; ` +
      "add runs, lower trees.minLeafRuns, or take fit log-linear",
  );
}

/** Fold of each run. */
function foldsOf(runs: number, seed: number): number[] {
  const order = new Rng(seed, "regression/folds").permutation(runs);
  return Array.from({ length: runs }, (_, run) => order.at(run) % Math.min(FOLDS, runs));
}

function weightedSum(parts: readonly { readonly weight: number }[], values: readonly Float64Array[]): Float64Array {
  return values[0]!.map((_, run) => parts.reduce((sum, { weight }, t) => sum + weight * values[t]![run]!, 0));
}

function qualityOf(target: string, predicted: Float64Array, unseen: Float64Array, measured: Float64Array): FitQuality {
  const agreement = (values: Float64Array): Agreement => ({
    spearman: spearman(values, measured),
    r2: explainedVariance(values, measured),
  });
  return { target, inSample: agreement(predicted), crossValidated: agreement(unseen) };
}

function fitWarnings({ crossValidated: { spearman: rho, r2 } }: FitQuality): string[] {
  if (rho >= POOR_FIT) return [];
  return [
    `poor-fit: the law ranks runs that it has not seen with a Spearman correlation of ${Number.isNaN(rho) ? "none" : rho.toFixed(2)} (R² ${r2.toFixed(2)}), so its optimum is mostly noise; add runs, choose another target, or another fit`,
  ];
}

function placeWarnings(weights: Mixture, caps: readonly number[], { domains, mixtures }: MixtureRuns): string[] {
  const warnings: string[] = [];
  const atCap = domains.filter((_, i) => caps[i]! < 1 && weights[i]! > 0 && weights[i]! >= caps[i]! * (1 - 1e-6));
  if (atCap.length > 0) {
    warnings.push(
      `at-cap: ${atCap.join(", ")} ${atCap.length === 1 ? "has" : "have"} as much as the epoch caps allow; the law would take more`,
    );
  }
  const largest = weights.indexOf(Math.max(...weights));
  if (weights[largest]! > CORNER) {
    warnings.push(
      `corner: ${share(weights[largest]!)} of all is “${domains[largest]}”, a mixture that the law favours and no average does; set kl higher, or more targets`,
    );
  }
  for (const [i, domain] of domains.entries()) {
    const most = Math.max(...mixtures.map((mixture) => mixture[i]!));
    if (weights[i]! <= most + BEYOND) continue;
    warnings.push(
      `beyond-runs: ${share(weights[i]!)} of “${domain}” is more than any run had (${share(most)}), so its loss is a guess; add runs with more of it, or set kl higher`,
    );
  }
  return warnings;
}

function share(weight: number): string {
  return `${(100 * weight).toFixed(1)} %`;
}
