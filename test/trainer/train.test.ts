/** Training to known answers; interrupted and resumed runs; what is refused. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { DoremiError } from "../../src/lib/errors.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { completeObjective } from "../../src/stages/proxy/objective.ts";
import { createBatchSource, evaluationBatches } from "../../src/trainer/batches.ts";
import type { CheckpointStore, RunConfiguration } from "../../src/trainer/checkpoint.ts";
import { CheckpointFiles } from "../../src/trainer/checkpoint-files.ts";
import type { BatchSource, StepRecord } from "../../src/trainer/contract.ts";
import { LossModel } from "../../src/trainer/evaluate.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { type TrainResult, train } from "../../src/trainer/train.ts";
import type { TrainOptions } from "../../src/trainer/train-options.ts";
import { ADAMW, proxyOf, randomBatch, randomReaders, TINY } from "./tiny.ts";

const [B, K] = [4, 3];
const T = TINY.sequenceLength;
let engine: Engine;
let folder: string;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-train-"));
});
afterEach(() => rm(folder, { recursive: true }));

const readers = randomReaders(K, 6);

const batches = createBatchSource({ readers, weights: [1, 1, 1], batchSize: B, sequenceLength: T, seed: 3 });

async function run(options: Partial<TrainOptions> = {}, proxy = false): Promise<TrainResult> {
  const base: TrainOptions = { engine, model: TINY, optimizer: ADAMW, batches, steps: 10, seed: 1 };
  if (!proxy) return train({ ...base, ...options });
  const reference = await LossModel.load(engine, initializeWeights(TINY, 2), B);
  try {
    return await train({ ...base, ...options, proxy: { ...proxyOf(K), reference } });
  } finally {
    await reference.close();
  }
}

const storeIn =
  (keep = 1) =>
  (configuration: RunConfiguration): CheckpointStore =>
    new CheckpointFiles({ folder, keep }, configuration);

/** Aborts after the given step. */
function stopAfter(step: number): Pick<TrainOptions, "signal" | "onStep"> {
  const controller = new AbortController();
  return { signal: controller.signal, onStep: (record) => void (record.step === step && controller.abort()) };
}

describe("train", () => {
  test("learns a repeated sequence by heart", async () => {
    const reader = {
      sequences: 1,
      sequence: () => Int32Array.from({ length: T + 1 }, (_, t) => (t * 7 + 3) % TINY.vocabularySize),
    };
    const repeated = createBatchSource({ readers: [reader], weights: [1], batchSize: 2, sequenceLength: T, seed: 1 });
    const losses: number[] = [];
    const { weights } = await run({
      batches: repeated,
      optimizer: { ...ADAMW, decay: "constant" },
      steps: 120,
      onStep: (record) => void losses.push(record.loss),
    });
    expect(losses[0]).toBeCloseTo(Math.log(TINY.vocabularySize), 0);
    expect(losses.at(-1)).toBeLessThan(0.01);
    const model = await LossModel.load(engine, weights, 2);
    const result = await model.evaluate(evaluationBatches({ readers: [reader], batchSize: 2, sequenceLength: T }), 2);
    expect(result.tokens).toEqual([T, 0]);
    expect(result.loss[0]).toBeLessThan(0.01);
    expect(result.loss[1]).toBeNull();
    await model.close();
  });

  test("a proxy raises the domain that is behind its reference, and its records add up", async () => {
    // The reference here is a fixed table: domain 2 could be learned far better than the proxy has, the others not.
    const reference = {
      losses: async (batch: { domains: Int32Array }) =>
        Float32Array.from({ length: B * T }, (_, i) => (batch.domains[Math.floor(i / T)] === 2 ? 1 : 9)),
      close: async () => {},
    };
    const records: StepRecord[] = [];
    const result = await train({
      engine,
      model: TINY,
      optimizer: ADAMW,
      batches,
      steps: 10,
      seed: 1,
      proxy: { ...proxyOf(K), reference },
      onStep: (record) => void records.push(record),
    });
    const last = records.at(-1)!.proxy!;
    expect(last.alpha[2]).toBeGreaterThan(0.9);
    expect(Array.from(result.average!)).toEqual(Array.from(last.average));
    for (let k = 0; k < K; k++) {
      const mean = records.reduce((sum, record) => sum + record.proxy!.alpha[k]!, 0) / records.length;
      expect(result.average![k]).toBeCloseTo(mean, 12);
    }
    for (const record of records) {
      const { tokens: domainTokens, loss: domainLoss } = record.proxy!.domains;
      expect(domainTokens.reduce((sum, tokens) => sum + tokens, 0)).toBe(record.tokens);
      const total = domainLoss.reduce((sum, loss, k) => sum + loss * domainTokens[k]!, 0);
      expect(total / record.tokens).toBeCloseTo(record.loss, 4);
    }
  });

  test("batches with masked domains never make a NaN", async () => {
    const masked: BatchSource = {
      domains: K,
      batchSize: B,
      batch: (step) => {
        const batch = randomBatch(TINY, B, K, step);
        if (step === 2) batch.mask.fill(0);
        else
          for (let row = 0; row < B; row++)
            if (batch.domains[row] === step % K) batch.mask.fill(0, row * T, (row + 1) * T);
        return batch;
      },
    };
    for (const proxy of [false, true]) {
      const { weights, average } = await run({ batches: masked, steps: 5 }, proxy);
      for (const values of Object.values(weights.parameters)) expect(values.every(Number.isFinite)).toBe(true);
      expect(average?.every(Number.isFinite) ?? true).toBe(true);
    }
  });

  test.each([
    ["reference", false],
    ["proxy", true],
  ])("%s: interrupted after 5 of 10 steps and resumed, it ends in the same bytes", async (_name, proxy) => {
    const whole = await run({}, proxy);
    const checkpoint = { store: storeIn(), every: 2 };
    const first = run({ checkpoint, ...stopAfter(5) }, proxy);
    await expect(first).rejects.toMatchObject({
      kind: "interrupted",
      message: expect.stringContaining("after step 5 of 10"),
    });
    expect((await readdir(folder)).sort()).toEqual(["step-5.json", "step-5.safetensors"]);
    const second = await run({ checkpoint }, proxy);
    expect(second.resumedFrom).toBe(5);
    expect(second.weights.parameters).toEqual(whole.weights.parameters);
    expect(second.alpha).toEqual(whole.alpha);
    expect(second.average).toEqual(whole.average);
  });

  test("a checkpoint of another configuration or other data is refused, a damaged one too", async () => {
    await expect(run({ checkpoint: { store: storeIn(), every: 0, data: "a" }, ...stopAfter(1) })).rejects.toThrow(
      /interrupted after step 1/,
    );
    await expect(run({ checkpoint: { store: storeIn(), every: 0, data: "b" } })).rejects.toThrow(
      /its data is "a" and this run's is "b"/,
    );
    await expect(run({ checkpoint: { store: storeIn(), every: 0, data: "a" }, seed: 9 })).rejects.toMatchObject({
      code: "other-checkpoint",
    });
    const path = join(folder, "step-1.json");
    await writeFile(path, (await readFile(path, "utf8")).slice(0, 40));
    await expect(run({ checkpoint: { store: storeIn(), every: 0, data: "a" } })).rejects.toMatchObject({
      code: "checkpoint",
      file: path,
    });
  });

  test("resumes to the same bytes with other checkpoint intervals, and inside the parts of a batch", async () => {
    for (const [proxy, accumulation] of [
      [false, "exact"],
      [true, "exact"],
      [true, "stale"],
    ] as const) {
      const parts = { microBatch: 2, accumulation };
      const whole = await run(parts, proxy);
      const controller = new AbortController();
      // aborted while step 4 is prepared, so the stop is seen between its parts
      const aborting: BatchSource = {
        ...batches,
        batch: (step) => {
          if (step === 4) setImmediate(() => controller.abort());
          return batches.batch(step);
        },
      };
      const first = run(
        { ...parts, batches: aborting, signal: controller.signal, checkpoint: { store: storeIn(), every: 7 } },
        proxy,
      );
      await expect(first).rejects.toThrow(/after step 3 of 10/);
      const second = await run({ ...parts, checkpoint: { store: storeIn(), every: 2 } }, proxy);
      expect(second.resumedFrom).toBe(3);
      expect(second.weights.parameters).toEqual(whole.weights.parameters);
      expect(second.average).toEqual(whole.average);
      folder = await mkdtemp(join(tmpdir(), "doremi-train-"));
    }
  });

  test("a proxy stops once its averaged weights have settled, and says what that saved", async () => {
    const notes: string[] = [];
    const settle = { tolerance: 0.02, every: 5 };
    const reference = {
      losses: async () => new Float32Array(B * T).fill(9), // nothing is behind it, so the weights stay uniform
      close: async () => {},
    };
    const options = { steps: 40, onNote: (note: string) => void notes.push(note) };
    const proxy = { ...proxyOf(K), reference };
    const settled = await run({ ...options, proxy: { ...proxy, settle } });
    expect(settled.steps).toBe(10);
    expect(notes).toEqual([expect.stringContaining("settled after 10 of 40 steps: 30 steps are saved")]);
    expect((await run({ ...options, proxy })).steps).toBe(40);
  });

  describe("held-out loss between steps", () => {
    const held = async () =>
      Array.from(evaluationBatches({ readers: randomReaders(K, 9), batchSize: B, sequenceLength: T, maxSequences: 3 }));
    const recorded = async (options: Partial<TrainOptions>, proxy = true) => {
      const records: StepRecord[] = [];
      const result = await run({ onStep: (record) => void records.push(record), ...options }, proxy);
      return { result, records };
    };

    test.each([B, 1])(
      "is that of the model that the step starts from, in parts of %i, and changes nothing",
      async (microBatch) => {
        const heldOut = { every: 4, batches: held };
        const { result, records } = await recorded({ heldOut, microBatch });
        expect(records.filter((record) => record.heldOut).map((record) => record.step)).toEqual([5, 9]);
        const plain = await recorded({ microBatch });
        expect(result.weights.parameters).toEqual(plain.result.weights.parameters);
        expect(result.average).toEqual(plain.result.average);
        // Stopped after the fourth step, it leaves the model that the fifth starts from.
        const four: Record<string, Float32Array> = {};
        const store = (configuration: RunConfiguration): CheckpointStore => ({
          ...storeIn()(configuration),
          save: async ({ tensors }) => {
            for (const [name, { data }] of Object.entries(tensors)) four[name] = data as Float32Array;
          },
          load: async () => null,
          idle: async () => {},
        });
        await expect(run({ checkpoint: { store, every: 0 }, microBatch, ...stopAfter(4) }, true)).rejects.toThrow(
          /step 4/,
        );
        const { config, parameters } = initializeWeights(TINY, 1);
        const weights = Object.fromEntries(Object.keys(parameters).map((name) => [name, four[`parameter/${name}`]!]));
        const model = await LossModel.load(engine, { config, parameters: weights }, B);
        const { loss } = await model.evaluate(await held(), K);
        await model.close();
        const found = records.find((record) => record.step === 5)!.heldOut!;
        for (const [k, expected] of loss.entries()) expect(found[k]).toBeCloseTo(expected!, 5);
      },
    );

    test("a stop in the middle of it loses no record", async () => {
      const controller = new AbortController();
      const batches = async () => {
        controller.abort();
        return held();
      };
      const checkpoint = { store: storeIn(), every: 0 };
      const before: StepRecord[] = [];
      const stopped = run(
        {
          checkpoint,
          heldOut: { every: 4, batches },
          signal: controller.signal,
          onStep: (record) => void before.push(record),
        },
        true,
      );
      await expect(stopped).rejects.toThrow(/after step 4/);
      const { result, records } = await recorded({ checkpoint, heldOut: { every: 4, batches: held } });
      expect([...before, ...records].map((record) => record.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      expect(records[0]!.heldOut).toBeDefined();
      expect(result.average).toEqual((await recorded({ heldOut: { every: 4, batches: held } })).result.average);
    });

    test("sets the adjustments of a Group DRO that asks for it", async () => {
      const objective = completeObjective.parse({ name: "group-dro", stepSize: 0.1, adjustment: "held-out" });
      const groupDro = { proxy: proxyOf(K, objective) };
      const heldOut = { every: 4, batches: held };
      const { records } = await recorded({ ...groupDro, heldOut }, false);
      const without = await recorded(groupDro, false);
      const alphas = ({ proxy }: StepRecord) => [...proxy!.alpha];
      expect(records.slice(0, 4).map(alphas)).toEqual(without.records.slice(0, 4).map(alphas));
      expect(alphas(records[4]!)).not.toEqual(alphas(without.records[4]!));
    });
  });

  test("a settled proxy that was interrupted stops at the same step", async () => {
    const settle = { tolerance: 0.01, every: 4 };
    const halfEta = proxyOf(K, { ...DOREMI_PRESETS.paper, eta: 0.5 });
    const proxy = async (more: Partial<TrainOptions> = {}) => {
      const reference = await LossModel.load(engine, initializeWeights(TINY, 2), B);
      return run({ steps: 60, ...more, proxy: { ...halfEta, reference, settle } }).finally(() => reference.close());
    };
    const whole = await proxy();
    expect(whole.steps).toBeGreaterThan(4);
    expect(whole.steps).toBeLessThan(60);
    const checkpoint = { store: storeIn(), every: 0 };
    await expect(proxy({ checkpoint, ...stopAfter(3) })).rejects.toThrow(/after step 3/);
    const resumed = await proxy({ checkpoint });
    expect(resumed.steps).toBe(whole.steps);
    expect(resumed.average).toEqual(whole.average);
  });

  test("refuses a reference whose losses are not finite, naming the domain", async () => {
    const reference = {
      losses: async (batch: { domains: Int32Array }, step: number) =>
        Float32Array.from({ length: B * T }, (_, i) =>
          step === 3 && batch.domains[Math.floor(i / T)] === 1 ? Number.POSITIVE_INFINITY : 4,
        ),
      close: async () => {},
    };
    const trained = run({ domainNames: ["books", "code", "law"], proxy: { ...proxyOf(K), reference } });
    await expect(trained).rejects.toMatchObject({
      code: "reference-losses",
      message: expect.stringMatching(/at step 3 one is Infinity in sequence \d of the batch, of domain code;/),
    });
  });

  test("says so where another engine goes on", async () => {
    const checkpoint = { store: storeIn(), every: 0 };
    await expect(run({ checkpoint, ...stopAfter(2) })).rejects.toThrow(/after step 2/);
    const notes: string[] = [];
    const other = new Proxy(engine, {
      get: (target, key) => {
        if (key === "name") return "webgpu";
        const value = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const resumed = await run({ engine: other, checkpoint, onNote: (note) => void notes.push(note) });
    expect(resumed.resumedFrom).toBe(2);
    expect(notes).toEqual([expect.stringMatching(/resumed on webgpu at step 2, which cpu had reached/)]);
  });

  test("stops at a loss that is not finite and names the step", async () => {
    const error = await run({ optimizer: { ...ADAMW, learningRate: 1e30, warmupSteps: 0, clipNorm: 0 } }).catch(
      (error) => error,
    );
    expect(error).toBeInstanceOf(DoremiError);
    expect(error).toMatchObject({ code: "diverged", message: expect.stringMatching(/at step [2-9]/) });
    for (const setting of ["learningRate", "warmup", "clipNorm"])
      expect(error.message).toContain(`optimizer.${setting}`);
    expect(error.message).not.toMatch(/warmupSteps|checkpoint/); // no setting of a pipeline file; none was due
  });

  test("says in which sequence of which domain it began", async () => {
    // A parameter that is not finite after the first step: the losses of the second are not.
    const error = await run({
      optimizer: { ...ADAMW, learningRate: 1e30, warmupSteps: 0, clipNorm: 0 },
      domainNames: ["prose", "code", "law"],
    }).catch((error) => error);
    expect(error.message).toMatch(
      /the loss is NaN in sequence 0 of the batch, of domain (prose|code|law) \(cpu, float32\)/,
    );
  });

  test("overflows of several steps in one call halve the loss scale once", async () => {
    // 16 steps at once, as on CUDA, and every gradient of the first call overflows: 16 halvings would end at nothing.
    let calls = 0;
    const overflowing: Engine = {
      name: "cuda",
      device: "made up",
      memory: "device",
      precisions: ["float16"],
      runsAtOnce: 16,
      tensor: (data, shape) => engine.tensor(data, shape),
      async compile(program, options) {
        const executable = await engine.compile(program, options?.repeat ? { repeat: options.repeat } : {});
        return {
          program,
          close: () => executable.close(),
          async run(inputs) {
            const outputs = await executable.run(inputs);
            const norms = outputs.gradientNorm!;
            if (calls++ > 0) return outputs;
            const overflow = new Float32Array(norms.shape[0] ?? 1).fill(Number.POSITIVE_INFINITY);
            return { ...outputs, gradientNorm: engine.tensor(overflow, norms.shape) };
          },
        };
      },
      close: async () => {},
    };
    const norms: number[] = [];
    const { steps } = await run({
      engine: overflowing,
      precision: "float16",
      steps: 32,
      onStep: ({ gradientNorm }) => void norms.push(gradientNorm),
    });
    expect(steps).toBe(32);
    expect(calls).toBe(2);
    expect(norms.map(Number.isFinite)).toEqual([...new Array(16).fill(false), ...new Array(16).fill(true)]);
  });

  test("refuses ids outside the vocabulary and wrong settings, saying what to do", async () => {
    const wrong: BatchSource = {
      ...batches,
      batch: async (step) => ({ ...(await batches.batch(step)), targets: new Int32Array(B * T).fill(61) }),
    };
    await expect(run({ batches: wrong })).rejects.toThrow(/batch of step 1: token ids must be in 0\.\.60, found 61/);
    await expect(run({ model: { ...TINY, heads: 3 } })).rejects.toThrow(/heads must divide width.*use 2 heads/);
    await expect(run({ optimizer: { ...ADAMW, finalLearningRate: 0 } })).rejects.toThrow(/> 0 for exponential decay/);
    await expect(run({ steps: 0 })).rejects.toThrow(/steps must be an integer/);
  });
});
