/** The laws of mixture regression against scipy, scikit-learn, LightGBM on RegMix's published runs. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Law } from "../../src/mixture/regression/law.ts";
import { leastSquares } from "../../src/mixture/regression/least-squares.ts";
import { fitLinear, linearLaw } from "../../src/mixture/regression/linear.ts";
import { fitLogLinear } from "../../src/mixture/regression/log-linear.ts";
import { optimalMixture } from "../../src/mixture/regression/optimum.ts";
import { mean, pearson, ranks, spearman } from "../../src/mixture/regression/quality.ts";
import { averageOfBest } from "../../src/mixture/regression/simulation.ts";
import { fitTrees, TREE_DEFAULTS } from "../../src/mixture/regression/trees.ts";
import { expectClose } from "./golden.ts";
import { HERE, normalised, RegMix, type Scores, SHARED } from "./regmix.ts";

interface LinearRow {
  readonly target: string;
  readonly ols_intercept: number;
  readonly ols_coef: number[];
  readonly no_intercept_coef: number[];
  readonly normalised_rows_no_intercept_coef: number[];
  readonly scores: Readonly<Record<string, { readonly ols: Scores; readonly normalised_rows: Scores }>>;
}
interface Scored {
  readonly target: string;
  readonly scores: Readonly<Record<string, Scores>>;
}
type LogLinearRow = Scored & { readonly train_mse: number };
type TreeRow = Scored & {
  readonly id: string;
  readonly params: Readonly<Record<string, number | "none">>;
  readonly predictions_test_1M_first_64: number[];
  readonly tree?: { readonly feature: number[]; readonly threshold: number[] };
};
interface OptimumRow {
  readonly target: string;
  readonly cap_times_prior?: number;
  readonly kl_tau?: number;
  readonly weights: number[];
  readonly predicted: number;
}

const TESTS: Readonly<Record<string, string>> = { "1M": "test_1m", "60M": "test_60m", "1B": "test_1B" };
const SETTINGS = [
  { where: "two targets", folder: HERE, data: HERE, tests: ["1M", "1B"] },
  ...(SHARED === undefined
    ? []
    : [{ where: "all targets", folder: SHARED, data: join(SHARED, "data"), tests: ["1M", "60M", "1B"] }]),
];

describe.each(SETTINGS)("RegMix's runs, $where", ({ folder, data, tests }) => {
  const widest = folder === SETTINGS.at(-1)!.folder; // where what takes seconds is done once
  const regmix = new RegMix(folder, data);
  const train = regmix.mixtures("train_1m");
  const losses = (target: string) => regmix.losses("train_1m", target);
  const scoreOf = (law: Law, target: string, test: string): Scores => {
    const predicted = Float64Array.from(regmix.mixtures(TESTS[test]!), (mixture) => law.predict(mixture));
    const measured = regmix.losses(TESTS[test]!, target);
    const mse = mean(predicted.map((value, i) => (value - measured[i]!) ** 2));
    return { spearman: spearman(predicted, measured), pearson: pearson(predicted, measured), mse };
  };

  it("least squares are numpy's", () => {
    for (const row of regmix.vectors<{ rows: LinearRow[] }>("linear.json").rows) {
      const y = losses(row.target);
      const withIntercept = leastSquares(
        train.map((mixture) => Float64Array.of(1, ...mixture)),
        y,
      );
      expect(withIntercept.dependent).toEqual([]);
      // condition number 4.8e3
      expectClose(withIntercept.coefficients, [row.ols_intercept, ...row.ols_coef], 1e-6, 1e-9);
      expectClose(leastSquares(train, y).coefficients, row.no_intercept_coef, 1e-8, 1e-9);
      const law = fitLinear(normalised(train), y);
      expectClose(law.coefficients, row.normalised_rows_no_intercept_coef, 1e-8, 1e-9);
      const [intercept, ...coefficients] = withIntercept.coefficients;
      const line = linearLaw(Float64Array.from(coefficients));
      for (const test of tests) {
        const got = scoreOf({ predict: (mixture) => intercept! + line.predict(mixture) }, row.target, test);
        const expected = row.scores[test]!.ols;
        expectClose([got.spearman, got.pearson, got.mse], [expected.spearman, expected.pearson, expected.mse], 1e-9);
      }
    }
  });

  it("the lowest mixture of a line is the linear program's, and with a price the closed form's", () => {
    const { prior, rows } = regmix.vectors<{ prior: number[]; rows: OptimumRow[] }>("linear_optimum.json");
    const linear = regmix.vectors<{ rows: LinearRow[] }>("linear.json").rows;
    const share = normalised([Float64Array.from(prior)])[0]!;
    for (const row of rows) {
      const fit = linear.find(({ target }) => target === row.target)!;
      const law = linearLaw(Float64Array.from(fit.ols_coef));
      const cap = row.cap_times_prior ?? Number.POSITIVE_INFINITY;
      const caps = Array.from(share, (weight) => cap * weight);
      const mixture = optimalMixture(law, { prior: share, kl: row.kl_tau ?? 0, caps });
      expectClose(mixture, row.weights, 1e-9, 1e-3);
      expect(fit.ols_intercept + law.predict(mixture)).toBeCloseTo(row.predicted, 8);
    }
  });

  it("the log-linear law reaches scipy's least squares and scores as its does", () => {
    for (const row of regmix.vectors<{ rows: LogLinearRow[] }>("log_linear.json").rows) {
      const law = fitLogLinear(train, losses(row.target));
      expect(law.meanSquaredError).toBeLessThanOrEqual(row.train_mse * 1.001);
      for (const test of tests) {
        const got = scoreOf(law, row.target, test);
        // flat directions of the optimum move the scores in the fourth digit
        expect(Math.abs(got.spearman - row.scores[test]!.spearman)).toBeLessThan(0.003);
        expect(Math.abs(got.pearson - row.scores[test]!.pearson)).toBeLessThan(0.003);
      }
    }
  });

  it("the log-linear law of 1M models ranks 1B models better than LightGBM does", () => {
    const law = fitLogLinear(normalised(train), losses("pile_cc"));
    const lightgbm = regmix.vectors<{
      rows: { target: string; scores: Record<string, { full_1000_rounds: Scores }> }[];
    }>("lightgbm.json");
    const theirs = lightgbm.rows.find(({ target }) => target === "pile_cc")!.scores["1B"]!.full_1000_rounds.spearman;
    const { spearman: ours } = scoreOf(law, "pile_cc", "1B");
    expect(ours).toBeGreaterThan(0.987);
    expect(ours).toBeGreaterThan(theirs + 0.015);
  });

  it.runIf(widest)("boosted trees are scikit-learn's", () => {
    for (const row of regmix.vectors<{ rows: TreeRow[] }>("gbdt_exact.json").rows) {
      const { n_estimators, learning_rate, max_depth, max_leaf_nodes = "none", min_samples_leaf } = row.params;
      const settings = {
        rounds: n_estimators as number,
        learningRate: learning_rate as number,
        maxDepth: max_depth === "none" ? Number.POSITIVE_INFINITY : max_depth!,
        maxLeaves: max_leaf_nodes === "none" ? Number.POSITIVE_INFINITY : max_leaf_nodes,
        minLeafRuns: min_samples_leaf as number,
      };
      const law = fitTrees(train, losses(row.target), settings);
      const predicted = regmix.mixtures("test_1m").slice(0, 64).map(law.predict);
      expectClose(predicted, row.predictions_test_1M_first_64, 1e-10);
      for (const test of tests) {
        expect(scoreOf(law, row.target, test).spearman).toBeCloseTo(row.scores[test]!.spearman, 10);
      }
    }
  });

  it.runIf(widest)("boosted trees rank unseen mixtures as LightGBM's do", () => {
    const rows = regmix.vectors<{
      rows: { target: string; scores: Record<string, { full_1000_rounds: Scores }> }[];
    }>("lightgbm.json").rows;
    for (const { target, scores } of rows.filter((row) => ["pile_cc", "github"].includes(row.target))) {
      const got = scoreOf(fitTrees(train, losses(target), TREE_DEFAULTS), target, "1M").spearman;
      expect(got).toBeGreaterThan(0.985);
      expect(got).toBeGreaterThan(scores["1M"]!.full_1000_rounds.spearman - 0.002);
    }
  });
});

describe.skipIf(SHARED === undefined)("candidates.json (only where the shared vectors are)", () => {
  it("the mean of the best candidates", () => {
    const golden = new RegMix(SHARED!).vectors<{
      candidates: number[][];
      order_best_128: number[];
      mean_of_top_100: number[];
      mean_of_top_128: number[];
    }>("candidates.json");
    const { ols_coef } = new RegMix(SHARED!)
      .vectors<{ rows: LinearRow[] }>("linear.json")
      .rows.find(({ target }) => target === "pile_cc")!;
    const law = linearLaw(Float64Array.from(ols_coef));
    const candidates = golden.candidates.map((candidate) => Float64Array.from(candidate));
    expectClose(averageOfBest(candidates, law.predict, 100), golden.mean_of_top_100, 1e-10);
    expectClose(averageOfBest(candidates, law.predict, 128), golden.mean_of_top_128, 1e-10);
    const [first] = golden.order_best_128;
    expectClose(averageOfBest(candidates, law.predict, 1), golden.candidates[first!]!, 0);
  });
});

describe("agreement", () => {
  it("gives ties their mean rank", () => {
    expect([...ranks([3, 1, 3, 2, 3])]).toEqual([4, 1, 4, 2, 4]);
    expect(spearman([1, 2, 2, 4], [10, 20, 20, 1000])).toBeCloseTo(1, 12);
    // scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7])
    expect(spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7])).toBeCloseTo(0.8207826816681233, 12);
  });
});
