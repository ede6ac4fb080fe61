/** The report of an evaluation: its sentences, warnings, tables and files, from made-up losses. */
import { describe, expect, it } from "vitest";
import type { EvaluateInput, EvaluateOutput } from "../../../src/stages/evaluate/contract.ts";
import { evaluateOutput } from "../../../src/stages/evaluate/contract.ts";
import { reportCsv, reportMarkdown } from "../../../src/stages/evaluate/files.ts";
import { report } from "../../../src/stages/evaluate/report.ts";
import { reportTables } from "../../../src/stages/evaluate/tables.ts";
import { completeModel } from "../../../src/trainer/model.ts";

type Mixture = EvaluateInput["mixtures"][number];
type Run = Mixture["runs"][number];

const STEPS = [50, 100];

/** One domain's losses: of the baseline's documents plus `shift`, and a little chance by seed. */
function run(seed: number, shifts: readonly (number | null)[], change: Partial<Run> = {}): Run {
  const chance = 0.001 * seed;
  return {
    seed,
    steps: 100,
    trainedTokens: 6400,
    documents: shifts.map((shift, k) =>
      shift === null
        ? { sizes: [], losses: [] }
        : { sizes: [20, 20, 30, 30], losses: [3, 3.1, 3.2, 3.3].map((loss) => loss + k + shift + chance) },
    ),
    curve: {
      steps: STEPS,
      loss: STEPS.map((steps) =>
        shifts.map((shift, k) => (shift === null ? null : 3 + k + shift + (100 - steps) / 50)),
      ),
    },
    warnings: [],
    ...change,
  };
}

function mixture(name: string, shifts: readonly (number | null)[], change: Partial<Mixture> = {}): Mixture {
  return {
    name,
    from: name,
    weights: shifts.map(() => 1 / shifts.length),
    epochs: shifts.map(() => 0.5),
    sameAs: null,
    notes: [],
    runs: [1, 2, 3].map((seed) => run(seed, shifts)),
    ...change,
  };
}

function input(...mixtures: Mixture[]): EvaluateInput {
  return {
    pipeline: "test",
    domains: [
      { name: "books", share: 0.7 },
      { name: "数学", share: 0.3 },
    ].slice(0, mixtures[0]!.weights.length),
    model: completeModel({
      architecture: "gpt2",
      vocabularySize: 50,
      sequenceLength: 16,
      width: 16,
      layers: 1,
      heads: 2,
    }),
    steps: 100,
    batchSize: 4,
    mixtures,
  };
}

const conclusionOf = (found: EvaluateOutput) => found.comparisons[0]!.conclusion;

describe("report", () => {
  it("says what won, where, by how much and how soon, and holds to its schema", () => {
    const found = report(input(mixture("natural", [0, 0]), mixture("learned", [-0.5, 0.25])));
    expect(evaluateOutput.parse(found)).toEqual(found);
    expect(conclusionOf(found)).toBe(
      "learned beats natural on average over the domains: loss 3.547 against 3.672, -0.125 (-0.125 to -0.125). " +
        "By the domains' shares of the corpus it beats natural: loss 3.197 against 3.472, -0.275 (-0.275 to -0.275). " +
        "In the worst domain (数学) it loses to natural: loss 4.422 against 4.172, +0.250 (+0.250 to +0.250). " +
        "Of 2 domains it wins 1, loses 1, and 0 are inside the noise. " +
        "It reaches natural's final average loss after 94 % of the steps (1.07 times as fast; by seed 94 % to 94 %).",
    );
    expect(found).toMatchObject({ seeds: [1, 2, 3], tokensEach: 6400, confidence: 0.95, warnings: [] });
    expect(found.mixtures[0]!.domains[0]!.perplexity).toBeCloseTo(
      Math.exp(found.mixtures[0]!.domains[0]!.loss!.mean),
      12,
    );
  });

  it("says as plainly that the learned weights lose", () => {
    const found = report(input(mixture("natural", [0, 0]), mixture("learned", [0.5, 0.25])));
    expect(conclusionOf(found)).toMatch(
      /^learned loses to natural on average over the domains: .* learned never comes down to natural's final average loss\.$/,
    );
    expect(found.comparisons[0]!.losses).toBe(2);
  });

  it("says that a difference is inside the noise, and that one seed knows nothing of others", () => {
    const noisy = mixture("learned", [0, 0], { runs: [run(1, [0.3, -0.2]), run(2, [-0.3, 0.2]), run(3, [0.1, 0])] });
    const found = report(input(mixture("natural", [0, 0]), noisy));
    expect(conclusionOf(found)).toMatch(/^learned cannot be told from natural on average over the domains/);
    expect(conclusionOf(found)).toContain("Of 2 domains it wins 0, loses 0, and 2 are inside the noise.");

    const single = [mixture("natural", [0, 0]), mixture("learned", [-0.5, -0.5])].map((one) => ({
      ...one,
      runs: one.runs.slice(0, 1),
    }));
    const alone = report(input(...single));
    expect(conclusionOf(alone)).toMatch(
      /With one seed nobody knows what another training would say: set evaluate\.seeds to 3\.$/,
    );
    expect(alone.warnings[0]).toMatch(/^one seed: /);
  });

  it("does not compare weights with themselves", () => {
    const natural = mixture("natural", [0, 0]);
    const found = report(input(natural, { ...natural, name: "learned", sameAs: "natural" }));
    expect(conclusionOf(found)).toBe("learned and natural are the same weights, so there is nothing to compare.");
    expect(found.warnings).toEqual(["learned has the weights of natural, and its models were not trained twice"]);
  });

  it("warns of text that is read too often, of what is overfitted, of what holds out little or nothing", () => {
    const rising = {
      curve: {
        steps: STEPS,
        loss: [
          [3, null],
          [3.1, null],
        ],
      },
    };
    const heldOut = {
      documents: [
        { sizes: [20, 20], losses: [3, 3.1] },
        { sizes: [], losses: [] },
      ],
    };
    const change = (more: Partial<Run>) => ({
      runs: [1, 2].map((seed) => run(seed, [0, null], { ...heldOut, ...more })),
    });
    const found = report(
      input(
        mixture("natural", [0, null], change({})),
        mixture("uniform", [0, null], { ...change(rising), epochs: [30.04, 0.1] }),
      ),
    );
    expect(found.warnings).toEqual([
      "nothing is held out of 数学, so no average counts it; see data.heldOut",
      "few held-out documents, so wide intervals: books (2); raise data.heldOut.minDocuments",
      expect.stringMatching(/^uniform repeats books 30\.0 times; beyond 4 times /),
      "held-out loss of books under uniform rose from 3.000 after 50 steps to 3.100 at the end: overfitting of a domain that is read 30.0 times",
    ]);
  });

  it("says what went wrong in the trainings, once for all seeds", () => {
    const message = "the loss is 85.196 in steps 1 to 100";
    const warnings = [{ code: "worse-than-uniform" as const, message, step: 100 }];
    const bad = { runs: [2, 3].map((seed) => run(seed, [0, 0], { warnings })) };
    const same = { ...bad, sameAs: "natural" };
    const found = report(input(mixture("natural", [0, 0], bad), mixture("uniform", [0, 0], same)));
    expect(found.warnings.filter((warning) => warning.includes("85.196"))).toEqual([
      `natural, seed 2: ${message} [worse-than-uniform]`,
    ]);
  });

  it("does not call it overfitting where a domain is hardly read", () => {
    const rising = {
      curve: {
        steps: STEPS,
        loss: [
          [3, 4],
          [3.1, 3.9],
        ],
      },
    };
    const found = report(
      input(
        mixture("natural", [0, 0]),
        mixture("learned", [0, 0], { weights: [0.01, 0.99], runs: [1, 2, 3].map((seed) => run(seed, [0, 0], rising)) }),
      ),
    );
    expect(found.warnings).toEqual([
      "held-out loss of books under learned rose from 3.000 after 50 steps to 3.100 at the end: its weight of 0.0100 is little, and the other domains push it out",
    ]);
  });
});

describe("files and tables", () => {
  const found = report(input(mixture("natural", [0, 0]), mixture("learned", [-0.5, 0.25])));

  it("have a row for each domain, the averages and the worst", () => {
    const [weights, perplexity, losses, summary] = reportTables(found);
    expect(weights!.rows).toEqual([
      ["books", "0.5000", "0.50", "0.5000", "0.50"],
      ["数学", "0.5000", "0.50", "0.5000", "0.50"],
    ]);
    expect(perplexity!.rows[0]).toEqual(["books", Math.exp(3.172).toFixed(2), Math.exp(2.672).toFixed(2)]);
    expect(losses!.rows.map((row) => [row[0], row[3], row[5]])).toEqual([
      ["books", "-0.500", "better"],
      ["数学", "+0.250", "worse"],
      ["average", "-0.125", "better"],
      ["average by tokens", "-0.275", "better"],
      ["worst (数学)", "+0.250", "worse"],
    ]);
    expect(summary!.rows).toEqual([
      ["learned", "-0.125 (-0.125 to -0.125)", "+0.250 (+0.250 to +0.250)", "1", "1", "0", "94 % of the steps"],
    ]);
  });

  it("are Markdown of whole tables, and CSV of a row for each mixture and domain", () => {
    const lines = reportMarkdown(found).split("\n");
    const rows = lines.filter((line) => line.startsWith("|"));
    expect(rows).toContain("| average | 3.672 | 3.547 | -0.125 | -0.125 to -0.125 | better |");
    expect(rows).toContain("| 50 | 4.500 | 4.375 |");
    expect(lines[0]).toBe("# test: what the weights are worth");

    const csv = reportCsv(found)
      .trimEnd()
      .split("\n")
      .map((line) => line.split(","));
    expect(csv).toHaveLength(1 + 2 * 2);
    expect(new Set(csv.map((row) => row.length))).toEqual(new Set([12]));
    expect(csv[1]!.slice(0, 4)).toEqual(["natural", "books", "0.5", "0.5"]);
    expect(csv[1]!.slice(8)).toEqual(["", "", "", ""]);
    expect(csv[4]!.slice(0, 2)).toEqual(["learned", "数学"]);
    expect(Number(csv[4]![8])).toBeCloseTo(0.25, 12);
    expect(csv[4]![11]).toBe("loses");
  });
});
