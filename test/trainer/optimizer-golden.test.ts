/** Optimizers against torch's AdamW and transformers' Adafactor, and learning rates against transformers'. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import type { OptimizerConfig } from "../../src/trainer/contract.ts";
import { learningRateAt, optimizerStateShapes } from "../../src/trainer/optimizer.ts";
import { optimizerFaults } from "../../src/trainer/settings.ts";
import { type Arrays, type Shapes, WAYS } from "./optimizer-runs.ts";
import { ADAMW } from "./tiny.ts";

const FOLDER = join(import.meta.dirname, "../files/trainer/optimizer");

type Values = Readonly<Record<string, readonly number[]>>;

interface Golden {
  readonly config: OptimizerConfig;
  readonly shapes: Shapes;
  readonly start: Values;
  readonly steps: readonly { readonly gradients: Values; readonly gradientNorm: number; readonly parameters: Values }[];
  readonly state: Values;
  readonly float32: { readonly parameters: number; readonly state: number };
}

const read = (name: string) => JSON.parse(readFileSync(join(FOLDER, name), "utf8"));
const cases = readdirSync(FOLDER).filter((name) => name.endsWith(".json") && name !== "schedules.json");

/** Largest difference of an array from what is right, relative to the array's largest value. */
function farthest(found: Arrays, right: Values): number {
  expect(Object.keys(found).sort()).toEqual(Object.keys(right).sort());
  const distances = Object.entries(right).map(([name, values]) => {
    expect(found[name]).toHaveLength(values.length);
    const largest = Math.max(...values.map(Math.abs));
    return Math.max(...values.map((value, i) => Math.abs(found[name]![i]! - value))) / largest;
  });
  return Math.max(...distances);
}

describe.each(cases)("%s", (file) => {
  const golden = read(file) as Golden;
  const problem = {
    ...golden,
    start: floats(golden.start),
    steps: golden.steps.length,
    gradients: (step: number) => floats(golden.steps[step - 1]!.gradients),
  };

  it("is of settings that are allowed, and keeps the state that it says", () => {
    expect(optimizerFaults(golden.config)).toEqual([]);
    const sizes = Object.entries(optimizerStateShapes(golden.shapes, golden.config)).map(([name, shape]) => [
      name,
      shape.reduce((product, size) => product * size, 1),
    ]);
    const right = Object.entries(golden.state).map(([name, values]) => [name, values.length]);
    expect(Object.fromEntries(sizes)).toEqual(Object.fromEntries(right));
  });

  it.each(Object.entries(WAYS))("%s", async (_, run) => {
    const course = await run(problem);
    // As near to float64 as the same in torch's float32, give or take the order of some roundings.
    const tolerance = 3;
    for (const [i, right] of golden.steps.entries()) {
      const found = course[i]!;
      expect(Math.abs(found.gradientNorm / right.gradientNorm - 1)).toBeLessThan(1e-6); // its sum in the graph is float32
      expect(farthest(found.parameters, right.parameters)).toBeLessThan(tolerance * golden.float32.parameters);
    }
    expect(farthest(course.at(-1)!.state, golden.state)).toBeLessThan(tolerance * golden.float32.state);
  });
});

test.each(
  (read("schedules.json") as { config: Partial<OptimizerConfig>; rates: number[] }[]).map((schedule) => ({
    ...schedule,
    title: [schedule.config.decay, schedule.config.decayShape].filter(Boolean).join(" "),
  })),
)("learning rates: $title", ({ config, rates }) => {
  rates.forEach((right, i) => {
    const found = learningRateAt({ ...ADAMW, ...config } as OptimizerConfig, i + 1, rates.length);
    expect(Math.abs(found / right - 1)).toBeLessThan(1e-12); // both are float64
  });
});

function floats(values: Values): Arrays {
  return Object.fromEntries(Object.entries(values).map(([name, of]) => [name, Float32Array.from(of)]));
}
