import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ObjectiveFacts, type SequenceStatistics, uniformFacts } from "../../src/mixture/objective.ts";
import {
  allowsStaleWeights,
  DOREMI_PRESETS,
  OBJECTIVE_NAMES,
  type ObjectiveSettings,
} from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { expectClose } from "./golden.ts";
import { factsOf, follow, tokensOf } from "./traces.ts";

const groupDro = {
  name: "group-dro",
  stepSize: 0.1,
  adjustment: 0,
  adjustments: null,
  normalizeLoss: false,
  update: "online",
  fraction: 0.4,
  decay: 0.2,
  minWeight: 0,
} as const satisfies ObjectiveSettings;
const balls = (["cvar", "chi-square", "kl"] as const).flatMap((name) =>
  (["domains", "sequences"] as const).flatMap((over) => [
    { name, size: 0.4, regularization: 0, over, losses: "excess" } as const,
    { name, size: 0.4, regularization: 0.5, over, losses: "loss" } as const,
  ]),
);
const ALL: readonly ObjectiveSettings[] = [
  DOREMI_PRESETS.paper,
  DOREMI_PRESETS.official,
  { ...DOREMI_PRESETS.paper, missing: "skip", clip: "domain", smoothToward: "reference", loss: "token-weighted" },
  groupDro,
  { ...groupDro, adjustment: 2, normalizeLoss: true },
  { ...groupDro, adjustment: "held-out" },
  { ...groupDro, update: "best-response", minWeight: 0.1, adjustment: 1 },
  { name: "topic-cvar", fraction: 0.3, decay: 0.2, baseline: "reference" },
  { name: "topic-cvar", fraction: 0.3, decay: 0.2, baseline: "none" },
  ...balls,
  { name: "erm" },
];
const cases = ALL.map((settings) => [Object.values(settings).join(" "), settings] as const);

it("every objective is here", () => {
  expect(new Set(ALL.map(({ name }) => name))).toEqual(new Set(OBJECTIVE_NAMES));
});

const K = 4;
const simplex = fc
  .array(fc.integer({ min: 1, max: 100 }), { minLength: K, maxLength: K })
  .map((parts) => parts.map((part) => part / parts.reduce((a, b) => a + b, 0)));
const facts: fc.Arbitrary<ObjectiveFacts> = fc.record({
  domains: fc.constant(K),
  start: simplex,
  sampling: simplex,
  reference: simplex,
  sizes: fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: K, maxLength: K }),
  sequenceLength: fc.constant(8),
  vocabularySize: fc.constant(1000),
});
const sequence = fc.record({
  domain: fc.nat(K - 1),
  tokens: fc.nat(8),
  loss: fc.double({ min: 0, max: 12, noNaN: true }),
  excess: fc.double({ min: -3, max: 3, noNaN: true }),
});
const batch = fc.array(sequence, { maxLength: 12 }).map(
  (rows): SequenceStatistics => ({
    domains: Int32Array.from(rows, ({ domain }) => domain),
    tokens: Float64Array.from(rows, ({ tokens }) => tokens),
    loss: Float64Array.from(rows, ({ tokens, loss }) => tokens * loss),
    excess: Float64Array.from(rows, ({ tokens, excess }) => tokens * excess),
    clipped: Float64Array.from(rows, ({ tokens, excess }) => tokens * Math.max(excess, 0)),
  }),
);
const batches = fc.array(batch, { minLength: 1, maxLength: 6 });

const total = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
const shapeOf = (state: object) => Object.entries(state).map(([name, values]) => [name, values.length]);

describe.each(cases)("laws of %s", (_, settings) => {
  it("weights are a distribution, act on tokens only, and state is plain, finite and of one shape", () => {
    fc.assert(
      fc.property(facts, batches, (facts, batches) => {
        const objective = createObjective(settings, facts);
        expect(objective.settings).toBe(settings);
        let state = objective.init();
        const shape = shapeOf(state);
        for (const batch of batches) {
          const before = JSON.stringify([state, batch]);
          const step = objective.step(state, batch);
          expect(JSON.stringify([state, batch])).toBe(before);
          expect(objective.step(state, batch)).toEqual(step);
          expect(shapeOf(step.state)).toEqual(shape);
          for (const values of Object.values(step.state)) expect(values.every(Number.isFinite)).toBe(true);
          expect(Math.min(...step.alpha)).toBeGreaterThanOrEqual(0);
          expect(Math.abs(total(step.alpha) - 1)).toBeLessThan(1e-12);
          expect(Number.isFinite(step.value)).toBe(true);
          expect(step.tokenWeight.every((weight, row) => (batch.tokens[row] === 0 ? weight === 0 : weight >= 0))).toBe(
            true,
          );
          const present = new Set([...batch.domains].filter((_, row) => batch.tokens[row]! > 0));
          const mass = total(step.tokenWeight.map((weight, row) => weight * batch.tokens[row]!));
          expect(mass).toBeLessThan(1 + 1e-12);
          if (present.size === K) expect(mass).toBeGreaterThan(1 - 1e-12);
          state = step.state;
        }
      }),
      { numRuns: 100 },
    );
  });

  it("what is under a mask, or of a sequence without tokens, is never looked at", () => {
    const objective = createObjective(settings, factsOf(2));
    const batch = tokensOf([0, 1], [2, 3], [1, 1]);
    const padded: SequenceStatistics = {
      domains: Int32Array.of(0, 1, 1),
      tokens: Float64Array.of(1, 1, 0),
      loss: Float64Array.of(2, 3, Number.NaN),
      excess: Float64Array.of(1, 2, Number.NaN),
      clipped: Float64Array.of(1, 2, Number.NaN),
    };
    const plain = objective.step(objective.init(), batch);
    const step = objective.step(objective.init(), padded);
    expect(step).toEqual({ ...plain, tokenWeight: Float64Array.of(...plain.tokenWeight, 0) });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("refuses a loss of %s, naming the domain", (bad) => {
    const objective = createObjective(settings, factsOf(3));
    expect(() => objective.step(objective.init(), tokensOf([0, 2], [1, bad]))).toThrow(
      expect.objectContaining({ code: "non-finite-excess", message: expect.stringMatching(`domain 2.*${bad}.*lower`) }),
    );
    expect(() => objective.step(objective.init(), tokensOf([0, 1], [1, 2], [1, bad]))).toThrow(
      expect.objectContaining({
        code: "non-finite-excess",
        message: expect.stringContaining("excess loss of domain 1"),
      }),
    );
  });

  it("those whose weights serve a batch that is computed in parts are those that say so", () => {
    for (const settings of ALL)
      expect(
        createObjective(settings, uniformFacts(3, { sequenceLength: 8, vocabularySize: 50 })).weigh !== undefined,
      ).toBe(allowsStaleWeights(settings));
  });

  it("domains have no order: names exchanged, weights exchanged", () => {
    fc.assert(
      fc.property(facts, batches, (facts, batches) => {
        const mirror = (domain: number): number => K - 1 - domain;
        const mirrored = Object.fromEntries(
          Object.entries(facts).map(([name, value]) => [name, Array.isArray(value) ? [...value].reverse() : value]),
        ) as unknown as ObjectiveFacts;
        const steps = follow(createObjective(settings, facts), batches);
        const exchanged = follow(
          createObjective(settings, mirrored),
          batches.map((batch) => ({ ...batch, domains: batch.domains.map(mirror) })),
        );
        for (const [t, { alpha, tokenWeight }] of steps.entries()) {
          expectClose(exchanged[t]!.alpha, [...alpha].reverse(), 1e-9, 1);
          expectClose(exchanged[t]!.tokenWeight, [...tokenWeight], 1e-9, 1);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("moves weight to the domain that is worst, unless it is ERM", () => {
    // Each domain in every batch, as many tokens; both the loss and the excess of domain 1 are the largest.
    const objective = createObjective(settings, factsOf(3));
    const batch = tokensOf([0, 0, 1, 1, 2, 2], [2.1, 2, 4.1, 4, 3, 3.1], [1.5, 1.5, 1.5, 1.5, 1.5, 1.5]);
    const steps = follow(objective, new Array(20).fill(batch));
    const { alpha, value } = steps.at(-1)!;
    if (settings.name === "erm") return expectClose(alpha, [1 / 3, 1 / 3, 1 / 3], 1e-14);
    expect(alpha[1]).toBeGreaterThan(alpha[2]!);
    expect(alpha[2]).toBeGreaterThanOrEqual(alpha[0]!);
    expect(alpha[1]).toBeGreaterThan(0.4);
    expect(value).toBeGreaterThanOrEqual(steps[0]!.value - 1e-12);
  });
});

describe("the objective is what the token weights are the gradient of", () => {
  const [a, b] = [
    tokensOf([0, 1, 1, 2, 0], [2, 4, 3, 1, 2.5], [1.5, 3, 2.75, 1.25, 1]),
    tokensOf([2, 1, 0, 2, 0], [3, 1, 2, 4, 5], [1, 2, 1.5, 3, 4.75]),
  ];
  /** Those that follow from the batch alone: how the weights move with the losses is in the value, and cancels in it. */
  it.each(cases.filter(([, settings]) => ["cvar", "chi-square", "kl", "erm"].includes(settings.name)))(
    "%s",
    (_, settings) => {
      const objective = createObjective(settings, factsOf(3));
      for (const batch of [a, b]) {
        const { tokenWeight } = objective.step(objective.init(), batch);
        for (const row of batch.domains.keys()) {
          const at = (by: number) => {
            const moved = { ...batch, loss: batch.loss.slice(), excess: batch.excess.slice() };
            moved.loss[row]! += by;
            moved.excess[row]! += by;
            return objective.step(objective.init(), moved).value;
          };
          const slope = (at(1e-5) - at(-1e-5)) / 2e-5;
          expect(slope).toBeCloseTo(tokenWeight[row]!, 6);
        }
      }
    },
  );

  /** The others hold theirs fixed: Σ weight · loss, and whatever has no gradient. */
  it.each(cases.filter(([, settings]) => ["doremi", "topic-cvar", "group-dro"].includes(settings.name)))(
    "%s",
    (_, settings) => {
      const objective = createObjective(settings, factsOf(3));
      const steps = follow(objective, [a, b]);
      for (const [t, batch] of [a, b].entries()) {
        const { alpha, tokenWeight, value } = steps[t]!;
        const under = (losses: Float64Array): number => total(losses.map((loss, row) => loss * tokenWeight[row]!));
        const onExcess =
          settings.name === "doremi"
            ? settings.loss === "domain-mean"
            : settings.name === "topic-cvar" && settings.baseline === "reference";
        const adjustment =
          settings.name === "group-dro" && settings.update === "online" && settings.adjustment !== "held-out"
            ? settings.adjustment / Math.sqrt(1000) // of every domain alike
            : 0;
        expectClose([value], [under(onExcess ? batch.excess : batch.loss) + adjustment], 1e-12);
        if (settings.name === "doremi") expectClose(objective.weigh!(alpha, batch), [...tokenWeight], 1e-14);
        else expect(objective.weigh).toBeUndefined();
      }
    },
  );
});
