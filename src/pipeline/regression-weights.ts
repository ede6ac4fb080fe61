/**
 * Weights by regression for a corpus: which runs' columns are its domains, what the epoch caps leave, and what has to be
 * said of the result. A fit takes seconds and is asked for by several stages, so that it is kept beside its source.
 */

import { type MixtureRuns, readRuns } from "../mixture/regression/runs.ts";
import { bestMixture, type FittedRegression, fitRegression, type RegressionResult } from "../mixture/regression.ts";
import type { RegressionSource } from "./weights-source.ts";

export interface RegressionWeights extends RegressionResult {
  readonly fitted: FittedRegression;
}

interface Kept {
  readonly runs: Map<string, MixtureRuns>;
  readonly fits: Map<string, FittedRegression>;
  readonly results: Map<string, RegressionWeights>;
}

const kept = new WeakMap<RegressionSource, Kept>();

function keptOf(source: RegressionSource): Kept {
  const found = kept.get(source) ?? { runs: new Map(), fits: new Map(), results: new Map() };
  kept.set(source, found);
  return found;
}

/** @param domains the corpus's, in order; null = as the runs name them */
export function runsOf(source: RegressionSource, domains: readonly string[] | null): MixtureRuns {
  const { tables, columns, targets } = source;
  return remember(keptOf(source).runs, JSON.stringify(domains), () => readRuns(tables, { domains, columns, targets }));
}

/**
 * @param tokens of each domain; null where they are not known, and then nothing is capped
 * @param prior Σ = 1
 */
export function regressionWeights(
  source: RegressionSource,
  domains: readonly string[] | null,
  tokens: readonly number[] | null,
  prior: readonly number[],
): RegressionWeights {
  const { fits, results } = keptOf(source);
  const { settings, cap } = source;
  return remember(results, JSON.stringify([domains, tokens, prior]), () => {
    const fitted = remember(fits, JSON.stringify(domains), () => fitRegression(runsOf(source, domains), settings));
    const caps = prior.map((_, i) =>
      cap && tokens ? (cap.maxEpochs * tokens[i]!) / cap.budgetTokens : Number.POSITIVE_INFINITY,
    );
    return { fitted, ...bestMixture(fitted, { prior: Float64Array.from(prior), caps }, settings) };
  });
}

/** Which method with which parameters, in a line. */
export function describeRegression({ settings, from, cap }: RegressionSource, { fitted }: RegressionWeights): string {
  const { fit, search, kl, candidates, best } = settings;
  const parts = [
    `${fit} fit of ${from}`,
    `target ${fitted.quality.target}`,
    search === "exact" ? "exact optimum" : `mean of the best ${best} of ${candidates} mixtures`,
    ...(kl > 0 ? [`kl ${kl}`] : []),
    ...(cap ? [`at most ${cap.maxEpochs} epochs of ${cap.budgetTokens} tokens`] : []),
  ];
  return `regression: ${parts.join(", ")}`;
}

/** What belongs into the notes of a result: how well the law fits, what it promises, what to mind. */
export function regressionNotes({ fitted, predictedLoss, priorLoss, warnings }: RegressionWeights): string[] {
  const { inSample, crossValidated } = fitted.quality;
  const figure = (value: number) => (Number.isNaN(value) ? "undefined" : value.toFixed(3));
  return [
    ...fitted.runs.notes,
    `regression on ${fitted.runs.mixtures.length} runs: Spearman ${figure(inSample.spearman)} and R² ${figure(inSample.r2)} in sample, ` +
      `${figure(crossValidated.spearman)} and ${figure(crossValidated.r2)} in cross-validation; predicted loss ${figure(predictedLoss)}, at the prior ${figure(priorLoss)}`,
    ...warnings.map((warning) => `regression: ${warning}`),
  ];
}

function remember<Value>(values: Map<string, Value>, key: string, make: () => Value): Value {
  const found = values.get(key) ?? make();
  values.set(key, found);
  return found;
}
