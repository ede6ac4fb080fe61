/** Learning rates by step; what optimizers do whoever carries them out. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { Rng } from "../../src/lib/rng.ts";
import type { OptimizerConfig } from "../../src/trainer/contract.ts";
import { learningRateAt } from "../../src/trainer/optimizer.ts";
import { type Arrays, runAsOps, runInPlace, type Shapes, WAYS } from "./optimizer-runs.ts";
import { ADAFACTOR, ADAMW } from "./tiny.ts";

test.each([
  ["exponential", Math.sqrt(1e-2 * 1e-3)],
  ["linear", 5.5e-3],
  ["cosine", 5.5e-3],
  ["constant", 1e-2],
] as const)("%s: warm-up, middle and end", (decay, middle) => {
  const config = { ...ADAMW, decay, warmupSteps: 10 };
  expect(learningRateAt(config, 1, 110)).toBeCloseTo(1e-3, 12);
  expect(learningRateAt(config, 10, 110)).toBe(1e-2);
  expect(learningRateAt(config, 60, 110)).toBeCloseTo(middle, 12);
  expect(learningRateAt(config, 110, 110)).toBeCloseTo(decay === "constant" ? 1e-2 : 1e-3, 12);
});

test("wsd: the rate stays until the last share of the steps, and then falls by the shape", () => {
  const config = { ...ADAMW, decay: "wsd", warmupSteps: 10 } as const;
  const rate = (step: number, more = {}) => learningRateAt({ ...config, ...more }, step, 110);
  expect([rate(5), rate(10), rate(60), rate(99), rate(110)]).toEqual([5e-3, 1e-2, 1e-2, 1e-2, 1e-3]);
  expect(rate(60, { decayShare: 1, decayShape: "linear" })).toBeCloseTo(5.5e-3, 12); // not before the warm-up's end
  expect(rate(85, { decayShare: 50 / 110, decayShape: "1-sqrt" })).toBeCloseTo(1e-3 + 9e-3 * (1 - Math.SQRT1_2), 12);
  expect(rate(85, { decayShare: 50 / 110, decayShape: "exponential" })).toBeCloseTo(Math.sqrt(1e-5), 12);
});

const OPTIMIZERS: Record<string, OptimizerConfig> = {
  adamw: ADAMW,
  adafactor: ADAFACTOR,
  "adafactor without a running mean": { ...ADAFACTOR, beta1: null },
  "adafactor relative to the parameter": { ...ADAFACTOR, scaleParameter: true },
};

function randomArrays(shapes: Shapes, seed: number, stream: string, size = 1): Arrays {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const rng = new Rng(seed, `${stream}/${name}`);
      const length = shape.reduce((product, of) => product * of, 1);
      return [name, Float32Array.from({ length }, (_, i) => size * (2 * rng.uniform(i) - 1))];
    }),
  );
}

describe.each(Object.entries(OPTIMIZERS))("%s", (_, config) => {
  it("is the same in place and as ops, for any shapes", async () => {
    const size = fc.integer({ min: 1, max: 21 });
    const shape = fc.oneof(fc.tuple(size, size), fc.tuple(size));
    const settings = fc.record({ clipNorm: fc.constantFrom(0, 0.5), weightDecay: fc.constantFrom(0, 0.1) });
    const any = fc.record({ shapes: fc.array(shape, { minLength: 1, maxLength: 4 }), settings, seed: fc.nat() });
    await fc.assert(
      fc.asyncProperty(any, async ({ shapes: list, settings, seed }) => {
        const shapes = Object.fromEntries(list.map((shape, i) => [`p${i}`, shape]));
        const problem = {
          config: { ...config, ...settings },
          shapes,
          start: randomArrays(shapes, seed, "start"),
          steps: 3,
          gradients: (step: number) => randomArrays(shapes, seed, `gradients ${step}`, 0.01 ** step),
          scale: 0.25,
        };
        const [inPlace, asOps] = [await runInPlace(problem), await runAsOps(problem)];
        for (const [i, step] of inPlace.entries()) {
          expect(asOps[i]!.gradientNorm / step.gradientNorm).toBeCloseTo(1, 5);
          for (const name of Object.keys(shapes)) {
            // Parameters below 1 moved by 0.01 or less at a time: a float32's roundings are 1e-7 of that each.
            for (const [j, value] of step.parameters[name]!.entries())
              expect(Math.abs(asOps[i]!.parameters[name]![j]! - value)).toBeLessThan(1e-6);
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  it.each(Object.entries(WAYS))("changes nothing while gradients are not finite: %s", async (_, run) => {
    const shapes = { w: [3, 5], b: [7] };
    const start = randomArrays(shapes, 1, "start");
    const good = randomArrays(shapes, 1, "gradients");
    const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const broken = (value: number) => ({ ...good, w: good.w!.map((other, i) => (i === 4 ? value : other)) });
    const course = await run({
      config,
      shapes,
      start,
      steps: bad.length + 1,
      gradients: (step) => (step > bad.length ? good : broken(bad[step - 1]!)),
    });
    for (const { gradientNorm, parameters, state } of course.slice(0, bad.length)) {
      expect(gradientNorm).not.toBeLessThan(Number.POSITIVE_INFINITY);
      expect(parameters).toEqual(start);
      for (const values of Object.values(state)) expect(values.every((value) => value === 0)).toBe(true);
    }
    const { parameters } = course.at(-1)!;
    for (const [name, values] of Object.entries(parameters))
      expect(values.every((value, i) => Number.isFinite(value) && value !== start[name]![i])).toBe(true);
  });
});

const SCHEDULES = ["constant", "linear", "cosine", "exponential", "wsd"] as const;

describe.each(Object.keys(OPTIMIZERS))("%s finds the least of a quadratic whose curvatures are 1 to 100", (name) => {
  it.each(SCHEDULES)("%s", async (decay) => {
    const shapes = { w: [6, 5], b: [5] };
    const least = randomArrays(shapes, 2, "least");
    const curvature = (i: number) => 100 ** ((i % 5) / 4);
    const rates = { learningRate: 0.05, finalLearningRate: 1e-4, warmupSteps: 20, weightDecay: 0 };
    const course = await runInPlace({
      config: { ...OPTIMIZERS[name]!, ...rates, decay },
      shapes,
      start: randomArrays(shapes, 2, "start"),
      steps: 400,
      gradients: (_, parameters) =>
        Object.fromEntries(
          Object.entries(parameters).map(([of, values]) => [
            of,
            values.map((value, i) => curvature(i) * (value - least[of]![i]!)),
          ]),
        ),
    });
    const distances = Object.entries(course.at(-1)!.parameters).flatMap(([of, values]) =>
      Array.from(values, (value, i) => Math.abs(value - least[of]![i]!)),
    );
    // A rate that does not fall leaves steps of its own size, to this side and that.
    expect(Math.max(...distances)).toBeLessThan(decay === "constant" ? 2 * rates.learningRate : 0.01);
  });
});
