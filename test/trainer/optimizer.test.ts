/** Learning rates by step. */
import { expect, test } from "vitest";
import { learningRateAt } from "../../src/trainer/optimizer.ts";
import { ADAMW } from "./tiny.ts";

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
