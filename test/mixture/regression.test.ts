/** Regression from CSV to weights: what is read, what is refused, and what is said of a fit. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCsv } from "../../src/lib/csv.ts";
import { Rng } from "../../src/lib/rng.ts";
import type { Law } from "../../src/mixture/regression/law.ts";
import { capped, divergence, optimalMixture } from "../../src/mixture/regression/optimum.ts";
import { type RunQuestion, readRuns } from "../../src/mixture/regression/runs.ts";
import { drawMixtures, SIMULATION_DEFAULTS } from "../../src/mixture/regression/simulation.ts";
import { TREE_DEFAULTS } from "../../src/mixture/regression/trees.ts";
import { bestMixture, fitRegression, type RegressionSettings } from "../../src/mixture/regression.ts";
import { HERE, RegMix } from "./regmix.ts";

const ASK: RunQuestion = { domains: null, columns: {}, targets: null };
const SETTINGS: RegressionSettings = {
  fit: "log-linear",
  search: "exact",
  kl: 0,
  trees: TREE_DEFAULTS,
  seed: 1,
  ...SIMULATION_DEFAULTS,
};

const one = (text: string) => {
  const table = parseCsv(text, "runs.csv");
  return { mixtures: table, losses: table };
};
const two = (mixtures: string, losses: string) => ({
  mixtures: parseCsv(mixtures, "mixtures.csv"),
  losses: parseCsv(losses, "losses.csv"),
});
const CSV = "run,web,code,loss\nr1,0.5,0.5,2\nr2,0.25,0.75,3\nr3,1,0,1.5\nr4,0.1,0.9,3.5\n";

describe("tables of runs", () => {
  it("finds domains and losses in one table", () => {
    const runs = readRuns(one(CSV), ASK);
    expect(runs.domains).toEqual(["web", "code"]);
    expect(runs.targets).toEqual([{ name: "loss", weight: 1, losses: Float64Array.of(2, 3, 1.5, 3.5) }]);
    expect(runs.notes).toEqual([]);
  });
  it("takes domains in the corpus's order", () => {
    const runs = readRuns(one(CSV), { ...ASK, domains: ["code", "web"] });
    expect(runs.mixtures[1]).toEqual(Float64Array.of(0.75, 0.25));
  });
  it("joins two tables by the run, in whatever order", () => {
    const losses = "run,name,bpb\nr4,d,3.5\nr3,c,1.5\nr2,b,3\nr1,a,2\nr9,z,9\n";
    const runs = readRuns(two(CSV.replace(/,[^,]*$/gm, ""), losses), ASK);
    expect([...runs.targets[0]!.losses]).toEqual([2, 3, 1.5, 3.5]);
    expect(runs.notes[0]).toMatch(/1 of its runs have no mixture/);
  });
  it("knows the Pile's domains by their words", () => {
    const regmix = new RegMix(HERE);
    const tables = {
      mixtures: regmix.table("train_mixture_1m.csv"),
      losses: regmix.table("train_pile_loss_1m.csv"),
    };
    const pile =
      "ArXiv FreeLaw;NIH ExPorter;PubMed Central;Wikipedia (en);DM Mathematics;Github;PhilPapers;StackExchange;Enron Emails;Gutenberg (PG-19);Pile-CC;Ubuntu IRC;EuroParl;HackerNews;PubMed Abstracts;USPTO Backgrounds";
    const domains = pile.replace("ArXiv FreeLaw", "ArXiv;FreeLaw").split(";");
    const runs = readRuns(tables, { ...ASK, domains: [...domains].reverse(), targets: { "Pile-CC": 3, github: 1 } });
    expect(runs.mixtures[0]![domains.length - 1 - domains.indexOf("Pile-CC")]).toBeCloseTo(0.787, 6);
    expect(runs.targets.map(({ weight }) => weight)).toEqual([0.75, 0.25]);
    expect(() => readRuns(tables, { ...ASK, domains: domains.slice(1) })).toThrow(
      /trained on “train_the_pile_arxiv” too/,
    );
    expect(() => readRuns(tables, { ...ASK, domains: ["pile", ...domains.slice(1)] })).toThrow(
      /17 columns fit the domain “pile”/,
    );
  });
  it("takes per cent, and says what it normalised", () => {
    const runs = readRuns(one("a,b,loss\n50,50,1\n20,81,2\n90,10,4\n33,66,3\n"), ASK);
    expect(runs.mixtures[0]).toEqual(Float64Array.of(0.5, 0.5));
    expect(runs.notes).toEqual(["runs.csv: rows add up to 99 … 101; normalised to 1"]);
  });

  it.each([
    ["a failed run", CSV.replace("3.5", "nan"), {}, /runs.csv:5: “loss” must be a number, found “nan”/],
    ["an empty cell", CSV.replace("3.5", ""), {}, /runs.csv:5: “loss” must be a number, found nothing/],
    ["a missing cell", `${CSV}r5,1\n`, {}, /runs.csv:6: must have as many cells as the header, 4, found 2/],
    [
      "a negative weight",
      "a,b,loss\n1.2,-0.2,1\n0.5,0.5,2\n0,1,3\n1,0,4\n",
      {},
      /runs.csv:2: “b” must be a weight ≥ 0/,
    ],
    ["rows that miss a domain", "a,b,loss\n0.5,0.2,1\n0.1,0.2,2\n", {}, /first columns must be the weights/],
    ["too few runs", "a,b,loss\n0.5,0.5,1\n0.1,0.9,2\n1,0,3\n", {}, /2 domains need 4 runs at least.*found 3/],
    [
      "a domain that no run has",
      "a,b,c,loss\n.5,.5,0,1\n.1,.9,0,2\n1,0,0,3\n.3,.7,0,1\n.2,.8,0,1\n",
      { domains: ["a", "b", "c"] },
      /no run was trained on “c”/,
    ],
    [
      "domains that go together",
      "a,b,c,loss\n.5,.25,.25,1\n.2,.4,.4,2\n1,0,0,3\n.6,.2,.2,1\n.4,.3,.3,1\n",
      {},
      /do not tell “c” from/,
    ],
    ["losses that never change", CSV.replace(/,[\d.]+$/gm, ",2"), {}, /“loss” is 2 in every run/],
    ["a target that is not there", CSV, { targets: { los: 1 } }, /no column of the target “los”; did you mean “loss”/],
    [
      "a domain that is not there",
      CSV,
      { domains: ["web", "cod"] },
      /no column of the domain “cod”; did you mean “code”/,
    ],
  ] as [string, string, Partial<RunQuestion>, RegExp][])("refuses %s", (_, text, ask, message) => {
    expect(() => readRuns(one(text), { ...ASK, ...ask })).toThrow(message);
  });

  it("refuses runs that stand twice, and runs without losses", () => {
    const mixtures = CSV.replace(/,[^,]*$/gm, "");
    expect(() => readRuns(two(mixtures, "run,x\nr1,1\nr1,2\n"), ASK)).toThrow(
      /losses.csv:3: “run” must tell runs apart/,
    );
    expect(() => readRuns(two(mixtures, "run,x\nr1,1\nr2,2\n"), ASK)).toThrow(/mixtures.csv:4: run “r3” has no losses/);
  });
});

describe("csv", () => {
  it("reads quotes, line ends and a byte order mark", () => {
    const { header, rows, lines } = parseCsv('\uFEFFa,"b ""x"""\r\n1,"two\nlines"\r\n\r\n3,\n', "x.csv");
    expect(header).toEqual(["a", 'b "x"']);
    expect(rows).toEqual([
      ["1", "two\nlines"],
      ["3", ""],
    ]);
    expect(lines).toEqual([2, 5]);
  });
  it("refuses a stray quote and names that stand twice", () => {
    expect(() => parseCsv('a,b\n1,2"\n', "x.csv")).toThrow(/x.csv:2: a quote/);
    expect(() => parseCsv("a,a\n1,2\n", "x.csv")).toThrow(/“a” stands twice/);
    expect(() => parseCsv("a,b\n", "x.csv")).toThrow(/found none/);
  });
});

/** Runs whose losses follow a law of our own. */
function madeRuns(law: (mixture: Float64Array) => number, noise: number, count = 60) {
  const prior = Float64Array.of(0.2, 0.3, 0.5);
  const caps = [1, 1, 1];
  const rng = new Rng(5, "noise");
  const mixtures = drawMixtures({ prior, caps }, { candidates: count, concentration: 3, seed: 2 });
  const losses = Float64Array.from(mixtures, (mixture, i) => law(mixture) + noise * (rng.uniform(i) - 0.5));
  return { domains: ["a", "b", "c"], mixtures, targets: [{ name: "loss", weight: 1, losses }], notes: [] };
}

describe("weights by regression", () => {
  it("refuses trees of so few runs that none could be divided", () => {
    const even = { prior: Float64Array.of(0.5, 0.5), caps: [1, 1] };
    const drawn = drawMixtures(even, { ...SIMULATION_DEFAULTS, candidates: 30, seed: 2 });
    const rows = drawn.map(([a, b], i) => `r${i},${a},${b},${3 - a!}`);
    const runs = readRuns(one(`run,web,code,loss\n${rows.join("\n")}\n`), ASK);
    expect(() => fitRegression(runs, { ...SETTINGS, fit: "trees" })).toThrow(
      /needs twice trees.minLeafRuns \(20\) runs in each fold of the cross-validation, found 24 of 30; .*log-linear/,
    );
    const small = { ...TREE_DEFAULTS, minLeafRuns: 12 };
    expect(fitRegression(runs, { ...SETTINGS, fit: "trees", trees: small }).quality.inSample.spearman).toBeGreaterThan(
      0.5,
    );
  });

  const truth = (x: Float64Array) => 2 + Math.exp(-2 * x[0]! - x[1]! + 0.5 * x[2]!);
  const prior = Float64Array.of(0.2, 0.3, 0.5);
  const free = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];

  it.each(["log-linear", "linear", "trees"] as const)("%s finds the better domain", (fit) => {
    const trees = { ...TREE_DEFAULTS, rounds: 100, learningRate: 0.1, minLeafRuns: 5 };
    const search = fit === "trees" ? "simulate" : "exact";
    const settings = { ...SETTINGS, fit, search, trees, candidates: 2000, best: 20 } as const;
    const fitted = fitRegression(madeRuns(truth, 0, 400), settings);
    const result = bestMixture(fitted, { prior, caps: free }, settings);
    expect(result.weights[0]).toBeGreaterThan(0.8);
    expect(result.predictedLoss).toBeLessThan(result.priorLoss);
    expect(fitted.quality.crossValidated.spearman).toBeGreaterThan(0.9);
    expect(result.weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
  });

  it("recovers the law that made the losses", () => {
    const fitted = fitRegression(madeRuns(truth, 0), SETTINGS);
    for (const mixture of [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ].map((row) => Float64Array.from(row))) {
      expect(fitted.law.predict(mixture)).toBeCloseTo(truth(mixture), 5);
    }
  });

  it("says when a cap binds, and keeps it", () => {
    const fitted = fitRegression(madeRuns(truth, 0), SETTINGS);
    for (const search of ["exact", "simulate"] as const) {
      const settings = { ...SETTINGS, search, candidates: 500, best: 1 };
      const { weights, warnings } = bestMixture(fitted, { prior, caps: [0.4, 0.35, 1] }, settings);
      expect(weights[0]).toBeCloseTo(0.4, 9);
      expect(warnings.join("\n")).toMatch(/at-cap: a/);
    }
    expect(() => bestMixture(fitted, { prior, caps: [0.3, 0.3, 0.3] }, SETTINGS)).toThrow(/hold 90.0 % of it/);
  });

  it("says when the law knows nothing", () => {
    const fitted = fitRegression(
      madeRuns(() => 2, 1),
      SETTINGS,
    );
    const { warnings } = bestMixture(fitted, { prior, caps: free }, { ...SETTINGS, kl: 1 });
    expect(warnings.join("\n")).toMatch(/poor-fit: .*Spearman correlation of -?0\.[0-4]/);
  });

  it("gives the same weights again, and others under another seed", () => {
    const settings = { ...SETTINGS, search: "simulate", candidates: 500, best: 10 } as const;
    const runs = madeRuns(truth, 0.1);
    const weights = (seed: number) =>
      bestMixture(fitRegression(runs, { ...settings, seed }), { prior, caps: free }, { ...settings, seed }).weights;
    expect(weights(3)).toEqual(weights(3));
    expect(weights(4)).not.toEqual(weights(3));
  });

  it("no feasible mixture is better than the optimum", () => {
    const positive = fc.double({ min: 0.05, max: 1, noNaN: true });
    const slope = fc.double({ min: -6, max: 2, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(slope, positive, positive), { minLength: 2, maxLength: 8 }),
        fc.constantFrom(0, 0.02, 0.5),
        (rows, kl) => {
          const b = Float64Array.from(rows, ([value]) => value);
          const priorOf = capped(
            Float64Array.from(rows, ([, value]) => value),
            rows.map(() => 2),
          );
          const caps = rows.map(([, , value]) => value + 1 / rows.length);
          const predict: Law["predict"] = (x) => Math.exp(x.reduce((sum, weight, i) => sum + weight * b[i]!, 0));
          const law: Law = { predict, gradient: (x) => b.map((value) => value * predict(x)) };
          const cost = (x: Float64Array) => predict(x) + kl * divergence(x, priorOf);
          const best = optimalMixture(law, { prior: priorOf, kl, caps });
          for (const [i, weight] of best.entries()) expect(weight).toBeLessThanOrEqual(caps[i]! + 1e-12);
          const others = drawMixtures({ prior: priorOf, caps }, { candidates: 50, concentration: 2, seed: 1 });
          for (const other of others) expect(cost(best)).toBeLessThanOrEqual(cost(other) + 1e-8);
        },
      ),
      { numRuns: 60 },
    );
  });
});
