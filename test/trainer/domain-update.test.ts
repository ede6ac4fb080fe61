/** The update inside the graph against float64 vectors of Algorithm 1, and its behaviour where a domain has no tokens. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Executable } from "../../src/engine/engine.ts";
import type { DoReMiConfig } from "../../src/trainer/contract.ts";
import { type DomainUpdateInputs, domainUpdate } from "../../src/trainer/domain-update.ts";

/** float32 against float64, over 50 chained steps */
const TOLERANCE = 5e-6;

interface InputStep {
  readonly domain_ids: number[];
  readonly mask: number[][];
  readonly loss: number[][];
  readonly ref: number[][];
}

interface Inputs {
  readonly k: number;
  readonly steps: readonly InputStep[];
}

interface Expected {
  readonly inputs: string;
  readonly eta: number;
  readonly eps: number;
  readonly float64: readonly {
    readonly lambda: number[];
    readonly tokens: number[];
    readonly alpha: number[];
    readonly loss: number;
    readonly grad_per_token: (number | null)[];
  }[];
}

let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

function compile(B: number, T: number, K: number, config: DoReMiConfig): Promise<Executable> {
  const matrix = { shape: [B, T], dtype: "float32" as const };
  return engine.compile({
    name: "domain-update",
    inputs: {
      loss: matrix,
      reference: matrix,
      mask: matrix,
      domains: { shape: [B], dtype: "int32" },
      alpha: { shape: [K], dtype: "float32" },
    },
    build: (tf, given) => {
      const { alpha: newAlpha, ...rest } = domainUpdate(tf, given as unknown as DomainUpdateInputs, config);
      return { newAlpha, ...rest };
    },
  });
}

interface Update {
  readonly newAlpha: Float32Array;
  readonly excess: Float32Array;
  readonly tokens: Float32Array;
  readonly meanLoss: Float32Array;
  readonly tokenWeight: Float32Array;
  readonly objective: Float32Array;
}

async function runStep(executable: Executable, step: InputStep, alpha: Float32Array): Promise<Update> {
  const [B, T] = [step.loss.length, step.loss[0]!.length];
  const matrix = (rows: number[][]) => engine.tensor(Float32Array.from(rows.flat()), [B, T]);
  const outputs = await executable.run({
    loss: matrix(step.loss),
    reference: matrix(step.ref),
    mask: matrix(step.mask),
    domains: engine.tensor(Int32Array.from(step.domain_ids), [B]),
    alpha: engine.tensor(alpha, [alpha.length]),
  });
  const read = await Promise.all(
    Object.entries(outputs).map(async ([name, tensor]) => [name, await tensor.read()] as const),
  );
  return Object.fromEntries(read) as unknown as Update;
}

function expectClose(found: ArrayLike<number>, expected: readonly number[], what: string): void {
  expect(found.length).toBe(expected.length);
  for (const [i, value] of expected.entries())
    expect(Math.abs(found[i]! - value), `${what}[${i}]`).toBeLessThan(TOLERANCE);
}

async function checkRun(folder: string, file: string): Promise<void> {
  const expected: Expected = JSON.parse(readFileSync(join(folder, file), "utf8"));
  const inputs: Inputs = JSON.parse(readFileSync(join(folder, expected.inputs), "utf8"));
  const first = inputs.steps[0]!;
  const [B, T] = [first.loss.length, first.loss[0]!.length];
  const executable = await compile(B, T, inputs.k, { eta: expected.eta, smoothing: expected.eps });
  let alpha = new Float32Array(inputs.k).fill(1 / inputs.k);
  for (const [i, wanted] of expected.float64.entries()) {
    const step = inputs.steps[i]!;
    const found = await runStep(executable, step, alpha);
    const where = `${file} step ${i + 1}`;
    expectClose(found.excess, wanted.lambda, `${where} lambda`);
    expectClose(found.newAlpha, wanted.alpha, `${where} alpha`);
    expect(Array.from(found.tokens), where).toEqual(wanted.tokens);
    expectClose(found.objective, [wanted.loss], `${where} loss`);
    const weights = step.mask.flatMap((row, b) =>
      row.map((counts) => (counts ? wanted.grad_per_token[step.domain_ids[b]!]! : 0)),
    );
    expectClose(found.tokenWeight, weights, `${where} gradient`);
    alpha = Float32Array.from(found.newAlpha);
  }
  await executable.close();
}

describe("domainUpdate", () => {
  const own = new URL("../files/trainer/doremi/", import.meta.url).pathname;
  test.each(readdirSync(own).filter((name) => name.startsWith("paper_")))("%s", (file) => checkRun(own, file));

  const shared = join(
    process.env.DOREMI_SHARED ?? new URL("../../../shared", import.meta.url).pathname,
    "golden/doremi",
  );
  describe.skipIf(!existsSync(shared))(
    "all vectors of ../shared/golden/doremi (left out where that folder is absent)",
    () => {
      const files = existsSync(shared)
        ? readdirSync(shared).filter((name) => name.startsWith("paper_") && name.includes("_eta"))
        : [];
      test.each(files)("%s", (file) => checkRun(shared, file));
    },
  );

  test("a domain that is present but fully masked counts as absent; rubbish under the mask stays there", async () => {
    const executable = await compile(3, 2, 3, { eta: 1, smoothing: 1e-3 });
    const step: InputStep = {
      domain_ids: [0, 1, 1],
      loss: [
        [2, Number.NaN],
        [Number.POSITIVE_INFINITY, 7],
        [5, 5],
      ],
      ref: [
        [1, 0],
        [1, Number.NaN],
        [0, 0],
      ],
      mask: [
        [1, 0],
        [0, 0],
        [0, 0],
      ],
    };
    const found = await runStep(executable, step, Float32Array.of(0.25, 0.25, 0.5));
    expect(Array.from(found.tokens)).toEqual([1, 0, 0]);
    expect(Array.from(found.excess)).toEqual([1, 0, 0]);
    expect(Array.from(found.tokenWeight).map((weight) => weight > 0)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(found.objective[0]).toBeCloseTo(found.newAlpha[0]!, 6);
    expect(found.newAlpha.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
  });

  test("a batch without any unmasked token leaves the weights to the smoothing alone", async () => {
    const executable = await compile(1, 2, 2, { eta: 1, smoothing: 0.5 });
    const found = await runStep(
      executable,
      { domain_ids: [0], loss: [[1, 1]], ref: [[0, 0]], mask: [[0, 0]] },
      Float32Array.of(0.9, 0.1),
    );
    expectClose(found.newAlpha, [0.7, 0.3], "alpha");
    expect(found.objective[0]).toBe(0);
  });

  test("enormous excess does not overflow", async () => {
    const executable = await compile(1, 1, 2, { eta: 1, smoothing: 1e-3 });
    const found = await runStep(
      executable,
      { domain_ids: [1], loss: [[1e4]], ref: [[0]], mask: [[1]] },
      Float32Array.of(0.5, 0.5),
    );
    expectClose(found.newAlpha, [5e-4, 0.9995], "alpha");
  });
});
