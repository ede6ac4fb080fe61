/** The models against transformers' GPT-2 and Llama (see files/trainer/make_models.py), initial weights, and sizes. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as tfjs from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program, TensorSpec } from "../../src/engine/engine.ts";
import { elements, type Graph } from "../../src/engine/graph.ts";
import { loadTensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { rotaryFrequencies } from "../../src/trainer/architectures/rotary.ts";
import type { ModelConfig } from "../../src/trainer/contract.ts";
import { initializeWeights, type ModelWeights } from "../../src/trainer/initialization.ts";
import { tokenLosses } from "../../src/trainer/loss.ts";
import {
  completeModel,
  countParameters,
  forwardFlops,
  hiddenStates,
  logits,
  outputEmbedding,
  parameterCount,
  parameterShapes,
  trainingFlops,
} from "../../src/trainer/model.ts";
import { loadModel } from "../../src/trainer/model-folder.ts";
import { PRESETS } from "../../src/trainer/presets.ts";
import { type HostTensor, runEagerly, runTraced } from "../engine/run.ts";
import { TINY } from "./tiny.ts";

const FILES = new URL("../files/trainer/", import.meta.url).pathname;
const [B, T, V] = [2, 12, 61];
const KINDS = ["gpt2", "gpt2-untied", "llama", "llama-untied"] as const;

interface Expected {
  readonly inputs: number[];
  readonly targets: number[];
  readonly logits: number[];
  readonly losses: number[];
  readonly gradients: Record<string, number[]>;
}

let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Logits, token losses and all gradients of the mean loss. */
function everything(config: ModelConfig, recompute: boolean): Program {
  const shapes = parameterShapes(config);
  const names = Object.keys(shapes);
  const ids: TensorSpec = { shape: [B, T], dtype: "int32" };
  return {
    name: "everything",
    inputs: {
      inputs: ids,
      targets: ids,
      ...Object.fromEntries(names.map((name) => [name, { shape: shapes[name]!, dtype: "float32" as const }])),
    },
    build: (tf, given) => {
      const values = names.map((name) => given[name]!);
      const losses = (...current: tfjs.Tensor[]): tfjs.Tensor => {
        const now = Object.fromEntries(names.map((name, i) => [name, current[i]!]));
        const hidden = hiddenStates(tf, config, now, given.inputs!, { recompute });
        return tokenLosses(tf, hidden, now[outputEmbedding(config)]!, tf.reshape(given.targets!, [B * T]));
      };
      const gradients = tf.grads((...current: tfjs.Tensor[]) => tf.mean(losses(...current)) as never)(values);
      return {
        logits: logits(tf, config, given, given.inputs!),
        losses: losses(...values),
        ...Object.fromEntries(names.map((name, i) => [`d ${name}`, gradients[i]!])),
      };
    },
  };
}

function tensorsOf(
  { config, parameters }: ModelWeights,
  { inputs, targets }: Pick<Expected, "inputs" | "targets">,
): Record<string, HostTensor> {
  const tensors: Record<string, HostTensor> = {
    inputs: { data: Int32Array.from(inputs), shape: [B, T] },
    targets: { data: Int32Array.from(targets), shape: [B, T] },
  };
  for (const [name, shape] of Object.entries(parameterShapes(config)))
    tensors[name] = { data: parameters[name]!, shape };
  return tensors;
}

async function golden(kind: string): Promise<{ weights: ModelWeights; expected: Expected }> {
  const folder = join(FILES, kind);
  return {
    weights: await loadModel(folder, { vocabularySize: V, sequenceLength: T }),
    expected: JSON.parse(await readFile(join(folder, "expected.json"), "utf8")),
  };
}

/** float32 against float64 */
function expectClose(found: ArrayLike<number>, expected: readonly number[], what: string): void {
  expect(found.length, what).toBe(expected.length);
  const scale = Math.max(1e-2, ...expected.map(Math.abs));
  for (const [i, value] of expected.entries())
    expect(Math.abs(found[i]! - value), `${what}[${i}]`).toBeLessThan(1e-5 * scale);
}

describe.each(KINDS)("%s", (kind) => {
  test("logits, losses and gradients are those of transformers", async () => {
    const { weights, expected } = await golden(kind);
    const found = await runTraced(engine, everything(weights.config, false), tensorsOf(weights, expected));
    const all = found.logits!.data; // [B, T, V]
    const last = [0, 1].flatMap((row) => Array.from(all.slice((row * T + T - 1) * V, (row + 1) * T * V)));
    expectClose(last, expected.logits, "logits");
    expectClose(found.losses!.data, expected.losses, "losses");
    expect(Object.keys(expected.gradients).length).toBeGreaterThan(12);
    for (const [name, gradient] of Object.entries(expected.gradients))
      expectClose(found[`d ${name}`]!.data, gradient, name);
  });

  test("recomputed layers give the same numbers, by an engine and op by op, and leave no tensor behind", async () => {
    const { weights, expected } = await golden(kind);
    const tensors = tensorsOf(weights, expected);
    const kept = await runTraced(engine, everything(weights.config, false), tensors);
    expect(await runTraced(engine, everything(weights.config, true), tensors)).toEqual(kept);
    const eager = await runEagerly(tfjs, everything(weights.config, true), tensors);
    for (const [name, { data }] of Object.entries(kept)) expectClose(eager[name]!.data, Array.from(data), name);
  });
});

test("recomputation holds a fraction of the activations", async () => {
  const tf = await loadTensorFlow();
  for (const architecture of ["gpt2", "llama"] as const) {
    const config = { ...TINY, architecture, layers: 12 };
    const [kept, recomputed] = [false, true].map((recompute) =>
      peakElements(traceProgram(tf, everything(config, recompute))),
    );
    expect(recomputed! / kept!, architecture).toBeLessThan(0.5);
  }
});

/** Most elements alive at once when nodes run in their order, without inputs, constants and outputs. */
function peakElements(graph: Graph): number {
  const lastUse = new Map<string, number>();
  for (const [at, node] of graph.nodes.entries()) for (const name of node.inputs) lastUse.set(name, at);
  const size = (name: string): number =>
    name in graph.inputs || name in graph.outputs ? 0 : elements(graph.values.get(name)?.shape ?? []);
  let [alive, peak] = [0, 0];
  for (const [at, node] of graph.nodes.entries()) {
    for (const name of node.outputs) alive += size(name);
    peak = Math.max(peak, alive);
    const done = new Set([...node.inputs, ...node.outputs].filter((name) => graph.values.has(name)));
    for (const name of done) if ((lastUse.get(name) ?? at) === at) alive -= size(name);
  }
  return peak;
}

describe("initial weights", () => {
  const deviation = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);

  test("GPT-2's scheme, and the same bytes for a seed", () => {
    const config = { ...TINY, width: 64 };
    const { parameters } = initializeWeights(config, 1);
    // the estimate's own error is 1 ÷ √(2n) of it, under 1% here
    expect(deviation(parameters["wte.weight"]!) / 0.02).toBeCloseTo(1, 1);
    expect(deviation(parameters["h.1.mlp.c_proj.weight"]!) / (0.02 / 2)).toBeCloseTo(1, 1);
    expect(new Set(parameters["h.0.ln_1.weight"])).toEqual(new Set([1]));
    expect(new Set(parameters["h.0.mlp.c_fc.bias"])).toEqual(new Set([0]));
    expect(Object.values(parameters).reduce((sum, values) => sum + values.length, 0)).toBe(parameterCount(config));
    const bytes = (seed: number) =>
      sha256(new Uint8Array(initializeWeights(TINY, seed).parameters["h.0.mlp.c_fc.weight"]!.buffer));
    expect(bytes(1)).toBe("d1127c1c8ee5b0339293fda6f88f10b950b6e2e0296736703ffd207d64268f64");
    expect(bytes(2)).not.toBe(bytes(1));
  });

  test("Llama's: every matrix with the same deviation, norms 1", () => {
    const { parameters } = initializeWeights({ ...TINY, architecture: "llama", width: 64, tied: false }, 1);
    expect(Object.keys(parameters).at(-1)).toBe("lm_head.weight");
    for (const [name, values] of Object.entries(parameters)) {
      if (name.endsWith("norm.weight")) expect(new Set(values), name).toEqual(new Set([1]));
      else expect(deviation(values) / 0.02, name).toBeCloseTo(1, 1);
    }
  });
});

describe("sizes", () => {
  const llama = (change: Partial<ModelConfig>) => completeModel({ ...TINY, architecture: "llama", ...change });

  test("what is left out has the architecture's default, and what it does not have is dropped", () => {
    expect(completeModel({ ...TINY, ropeTheta: 7 })).toEqual({
      ...TINY,
      innerWidth: 64,
      tied: true,
      activation: "gelu_new",
      normEpsilon: 1e-5,
    });
    expect(llama({ width: 576, heads: 9, activation: "gelu" })).toEqual({
      ...TINY,
      architecture: "llama",
      width: 576,
      heads: 9,
      keyValueHeads: 9,
      innerWidth: 1536, // as SmolLM's 135M has it
      tied: true,
      normEpsilon: 1e-5,
      ropeTheta: 10_000,
      ropeScaling: null,
    });
    expect(llama({ width: 100 }).innerWidth).toBe(320);
  });

  // Millions with the paper's 256k, or for the small ones 4,096, tokens; the paper's 760M is smaller than its name.
  test.each<[keyof typeof PRESETS, number, number]>([
    ["1M", 4096, 1.15],
    ["4M", 4096, 4.27],
    ["15M", 4096, 15.9],
    ["70M", 256_000, 68.2],
    ["120M", 50_277, 124],
    ["150M", 256_000, 151],
    ["280M", 256_000, 282],
    ["510M", 256_000, 515],
    ["760M", 256_000, 660],
    ["1B", 256_000, 1332],
  ])("preset %s", (name, vocabularySize, millions) => {
    const { total, embeddings, body } = countParameters({ architecture: "gpt2", vocabularySize, ...PRESETS[name] });
    expect(embeddings + body).toBe(total);
    expect(total / 1e6 / millions).toBeCloseTo(1, 2);
  });

  test("operations: two for each weight that a token meets, and attention's; tied or not", () => {
    const [D, L, F, N] = [256, 4, 1024, 1024];
    const config: ModelConfig = {
      architecture: "gpt2",
      vocabularySize: 4096,
      sequenceLength: 128,
      width: D,
      layers: L,
      heads: 4,
    };
    expect(trainingFlops(config, N)).toBe(6 * N * (12 * L * D * D + 4096 * D) + 12 * N * 128 * D * L);
    expect(trainingFlops({ ...config, tied: false }, N)).toBe(trainingFlops(config, N));
    const gated: ModelConfig = { ...config, architecture: "llama", keyValueHeads: 1, innerWidth: F };
    const weights = L * (2 * D * D + 2 * D * (D / 4) + 3 * D * F) + 4096 * D;
    expect(forwardFlops(gated, N)).toBe(2 * N * weights + 4 * N * 128 * D * L);
  });

  test("rotary frequencies of Llama 3.1 are those that transformers computes", () => {
    const scaling = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 8192 };
    const found = rotaryFrequencies({ width: 4096, heads: 32, ropeTheta: 500_000, ropeScaling: scaling });
    // LlamaRotaryEmbedding(configuration of Llama 3.1 8B).inv_freq: as they were, in between, stretched
    const expected = {
      0: 1,
      27: 0.00394227589,
      29: 0.00216657063,
      33: 0.00031269365,
      35: 9.55621217e-5,
      63: 3.06892588e-7,
    };
    for (const [i, value] of Object.entries(expected)) expect(found[Number(i)]! / value).toBeCloseTo(1, 5);
  });
});
