/** Which trainings rounds and seeds come to, what each is called, and when rounds end. */
import { describe, expect, it } from "vitest";
import { definePipeline } from "../../src/pipeline/load.ts";
import {
  areSettled,
  instanceName,
  isReplicated,
  mostRounds,
  replicatesOf,
  roundWeights,
  seedOf,
} from "../../src/pipeline/replicates.ts";

const auto = { tolerance: 1e-3, limit: 5 };

/** Outputs of the proxies in which the first of two domains got these weights, by round and seed. */
const outputs = (...rounds: number[][]) =>
  Object.fromEntries(
    rounds.flatMap((seeds, r) =>
      seeds.map((books, s) => [
        instanceName("proxy", { round: r + 1, seed: s + 1 }),
        { weights: { code: 1 - books, books } },
      ]),
    ),
  );
const domains = ["books", "code"];

describe("trainings", () => {
  it("are one where nothing is said, under the stages' own names", () => {
    const settings = { rounds: 1, seeds: 1 };
    expect(isReplicated(settings)).toBe(false);
    expect(replicatesOf(settings).map((replicate) => instanceName("proxy", replicate))).toEqual(["proxy"]);
  });

  it("are all seeds of a round before the next, under names that do not depend on how many there are", () => {
    const names = (rounds: number, seeds: number) =>
      replicatesOf({ rounds, seeds }).map((replicate) => instanceName("proxy", replicate));
    expect(names(2, 2)).toEqual(["proxy", "proxy-seed-2", "proxy-round-2", "proxy-round-2-seed-2"]);
    expect(names(3, 3)).toEqual(expect.arrayContaining(names(2, 2)));
    expect(new Set(names(12, 12)).size).toBe(144);
  });

  it("are so many as the limit allows where they end by themselves", () => {
    expect(mostRounds({ rounds: auto })).toBe(5);
    expect(isReplicated({ rounds: { ...auto, limit: 1 }, seeds: 1 })).toBe(false);
    expect(replicatesOf({ rounds: auto, seeds: 2 })).toHaveLength(10);
  });

  it("have the pipeline's seed first, and others far from it and from each other", () => {
    expect(seedOf(7, { seed: 1 })).toBe(7);
    const seeds = [1, 2, 3, 4, 5].flatMap((pipeline) => [2, 3, 4, 5].map((seed) => seedOf(pipeline, { seed })));
    expect(new Set(seeds).size).toBe(20);
    // The proxy's order is drawn with its seed + 1: a neighbour would repeat it.
    for (const seed of seeds) expect(seeds).not.toContain(seed + 1);
    expect(Math.min(...seeds)).toBeGreaterThan(6);
    expect(seedOf(1, { seed: 2 })).toBe(seedOf(1, { seed: 2 }));
  });
});

describe("rounds", () => {
  it("have the mean of their seeds as weights, in the order of the domains", () => {
    const settings = { rounds: 2, seeds: 2 };
    expect(roundWeights(settings, outputs([0.25, 0.5]), 1, domains)).toEqual([0.375, 0.625]);
  });

  it("end when no weight changed by the tolerance, and stay ended", () => {
    const settled = (round: number, done: number[][], rounds: number | typeof auto = auto) =>
      areSettled({ rounds, seeds: 1 }, outputs(...done), round, domains, [0.5, 0.5]);
    expect(settled(2, [[0.6]])).toBe(false);
    expect(settled(2, [[0.5001]])).toBe(true);
    expect(settled(3, [[0.6], [0.65]])).toBe(false);
    expect(settled(3, [[0.6], [0.6001]])).toBe(true);
    expect(settled(4, [[0.6], [0.6001]])).toBe(true); // there was no third
    expect(settled(2, [[0.5]], 2)).toBe(false); // two are two
  });

  it("compare the means of the seeds, not the seeds", () => {
    const settings = { rounds: auto, seeds: 2 };
    expect(areSettled(settings, outputs([0.4, 0.6]), 2, domains, [0.5, 0.5])).toBe(true);
  });
});

describe("a pipeline file", () => {
  const trainOf = (train: Parameters<typeof definePipeline>[0]["train"]) =>
    definePipeline({ version: 1, name: "x", output: "out", tokenizer: "r50k", data: { files: "{domain}/*" }, train })
      .config.train;

  it("may say auto, a number, or how rounds end", () => {
    expect(trainOf({}).rounds).toBe(1);
    expect(trainOf({}).seeds).toBe(1);
    expect(trainOf({ rounds: "auto" }).rounds).toEqual(auto);
    expect(trainOf({ rounds: { limit: 3 } }).rounds).toEqual({ tolerance: 1e-3, limit: 3 });
    expect(trainOf({ rounds: 2, seeds: 3 })).toMatchObject({ rounds: 2, seeds: 3 });
  });

  it.each([
    [{ rounds: 2, reference: { model: "gpt2" } }, /“train\.rounds” must be 1 where reference\.model is given.*found 2/],
    [{ rounds: "auto" as const, reference: { model: "gpt2" } }, /found "?auto/],
    [
      { rounds: 2, proxy: { objective: "group-dro" as const } },
      /must be 1 for the objective group-dro.*proxy\.sampling/,
    ],
    [{ rounds: 0 }, /“train\.rounds” must be >0/],
    [{ seeds: 1.5 }, /“train\.seeds” must be int/],
  ])("may not ask for %j", (train, message) => {
    expect(() => trainOf(train)).toThrow(message);
  });

  it("may repeat an objective without a reference that samples by the weights of the round before", () => {
    const train = trainOf({ rounds: 2, proxy: { objective: "group-dro", sampling: "reference" } });
    expect(train.rounds).toBe(2);
    expect(trainOf({ seeds: 2, reference: { model: "gpt2" } }).seeds).toBe(2);
  });
});
