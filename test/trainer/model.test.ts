/** The model against transformers' GPT-2 (see files/trainer/gpt2/make.py), its folder format, and initial weights. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, TensorSpec } from "../../src/engine/engine.ts";
import { openSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { initializeWeights, type ModelWeights } from "../../src/trainer/initialization.ts";
import { tokenLosses } from "../../src/trainer/loss.ts";
import { hiddenStates, logits, parameterCount, parameterShapes } from "../../src/trainer/model.ts";
import { checkModel, loadModel, saveModel } from "../../src/trainer/model-folder.ts";
import { type HostTensor, runTraced } from "../engine/run.ts";
import { TINY } from "./tiny.ts";

const GOLDEN = new URL("../files/trainer/gpt2/", import.meta.url).pathname;
const [B, T] = [2, 12];

interface Expected {
  readonly inputs: number[];
  readonly targets: number[];
  readonly logits: number[];
  readonly losses: number[];
  readonly gradients: Record<string, number[]>;
}

let engine: Engine;
let folder: string;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-model-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Logits, token losses and all gradients of the mean loss. */
function everything(
  { config, parameters }: ModelWeights,
  { inputs, targets }: Expected,
): Promise<Record<string, HostTensor>> {
  const shapes = parameterShapes(config);
  const names = Object.keys(shapes);
  const ids: TensorSpec = { shape: [B, T], dtype: "int32" };
  const program = {
    name: "everything",
    inputs: {
      inputs: ids,
      targets: ids,
      ...Object.fromEntries(names.map((name) => [name, { shape: shapes[name]!, dtype: "float32" as const }])),
    },
    build: (tf: typeof import("@tensorflow/tfjs-core"), given: Readonly<Record<string, Tensor>>) => {
      const values = names.map((name) => given[name]!);
      const losses = (...current: Tensor[]): Tensor => {
        const now = Object.fromEntries(names.map((name, i) => [name, current[i]!]));
        return tokenLosses(
          tf,
          hiddenStates(tf, config, now, given.inputs!),
          now["wte.weight"]!,
          tf.reshape(given.targets!, [B * T]),
        );
      };
      const gradients = tf.grads((...current: Tensor[]) => tf.mean(losses(...current)) as never)(values);
      return {
        logits: logits(tf, config, given, given.inputs!),
        losses: losses(...values),
        ...Object.fromEntries(names.map((name, i) => [`d ${name}`, gradients[i]!])),
      };
    },
  };
  const tensors: Record<string, HostTensor> = {
    inputs: { data: Int32Array.from(inputs), shape: [B, T] },
    targets: { data: Int32Array.from(targets), shape: [B, T] },
  };
  for (const name of names) tensors[name] = { data: parameters[name]!, shape: shapes[name]! };
  return runTraced(engine, program, tensors);
}

/** float32 against float64 */
function expectClose(found: ArrayLike<number>, expected: readonly number[], what: string): void {
  expect(found.length, what).toBe(expected.length);
  const scale = Math.max(1e-2, ...expected.map(Math.abs));
  for (const [i, value] of expected.entries())
    expect(Math.abs(found[i]! - value), `${what}[${i}]`).toBeLessThan(1e-5 * scale);
}

describe("model", () => {
  test("logits, losses and gradients are those of transformers", async () => {
    const weights = await loadModel(GOLDEN, { vocabularySize: 61, sequenceLength: T });
    const expected: Expected = JSON.parse(await readFile(join(GOLDEN, "expected.json"), "utf8"));
    const found = await everything(weights, expected);
    const all = found.logits!.data; // [B, T, V]
    const last = [0, 1].flatMap((row) => Array.from(all.slice((row * T + T - 1) * 61, (row + 1) * T * 61)));
    expectClose(last, expected.logits, "logits");
    expectClose(found.losses!.data, expected.losses, "losses");
    expect(Object.keys(expected.gradients).length).toBeGreaterThan(15);
    for (const [name, gradient] of Object.entries(expected.gradients))
      expectClose(found[`d ${name}`]!.data, gradient, name);
  });

  test("initial weights: the same bytes for a seed, deviations as in GPT-2", () => {
    const config = { ...TINY, width: 64 };
    const { parameters } = initializeWeights(config, 1);
    const deviation = (name: string) =>
      Math.sqrt(parameters[name]!.reduce((sum, x) => sum + x * x, 0) / parameters[name]!.length);
    // the estimate's own error is 1 ÷ √(2n) of it, under 1% here
    expect(deviation("wte.weight") / 0.02).toBeCloseTo(1, 1);
    expect(deviation("h.1.mlp.c_proj.weight") / (0.02 / 2)).toBeCloseTo(1, 1);
    expect(new Set(parameters["h.0.ln_1.weight"])).toEqual(new Set([1]));
    expect(new Set(parameters["h.0.mlp.c_fc.bias"])).toEqual(new Set([0]));
    expect(Object.values(parameters).reduce((sum, values) => sum + values.length, 0)).toBe(parameterCount(config));
    const bytes = (seed: number) =>
      sha256(new Uint8Array(initializeWeights(TINY, seed).parameters["h.0.mlp.c_fc.weight"]!.buffer));
    expect(bytes(1)).toBe("d1127c1c8ee5b0339293fda6f88f10b950b6e2e0296736703ffd207d64268f64");
    expect(bytes(2)).not.toBe(bytes(1));
  });
});

describe("model folder", () => {
  test("what is saved is loaded, and a longer model is cut to the sequence length", async () => {
    const weights = initializeWeights(TINY, 3);
    await saveModel(folder, weights, { endOfText: 60 });
    expect(await loadModel(folder)).toEqual(weights);
    const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
    expect(config).toMatchObject({ model_type: "gpt2", n_embd: 16, eos_token_id: 60, activation_function: "gelu_new" });
    const cut = await loadModel(folder, { vocabularySize: 61, sequenceLength: 5 });
    expect(cut.config.sequenceLength).toBe(5);
    expect(cut.parameters["wpe.weight"]).toEqual(weights.parameters["wpe.weight"]!.slice(0, 5 * 16));
  });

  test.each([
    [
      "another vocabulary",
      {},
      { vocabularySize: 62, sequenceLength: 12 },
      /vocab_size must be the tokenizer's 62 .* found 61/,
    ],
    [
      "too few positions",
      {},
      { vocabularySize: 61, sequenceLength: 13 },
      /n_positions must be at least the sequence length 13, found 12/,
    ],
    ["another architecture", { model_type: "llama" }, undefined, /model_type must be "gpt2", found "llama"/],
    ["another activation", { activation_function: "relu" }, undefined, /activation_function/],
    ["untied embeddings", { tie_word_embeddings: false }, undefined, /tie_word_embeddings/],
    [
      "other shapes than it says",
      { n_embd: 8 },
      undefined,
      /wte.weight must have the shape \[61,8\] .* found \[61,16\]/,
    ],
    ["more layers than it has", { n_layer: 3 }, undefined, /has no tensor transformer.h.2.ln_1.weight/],
  ])("refuses %s", async (_what, change, demands, message) => {
    await cp(GOLDEN, folder, { recursive: true });
    const path = join(folder, "config.json");
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...change }));
    await expect(loadModel(folder, demands)).rejects.toThrow(message);
    const error = await loadModel(folder, demands).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "bad-data" });
    // before anything is trained, by the same rules
    await expect(checkModel(folder, demands ?? { vocabularySize: 61, sequenceLength: 12 })).rejects.toEqual(error);
  });

  test("takes tensors without the prefix and an output layer that repeats the embedding, refuses one that differs", async () => {
    await saveModel(folder, initializeWeights(TINY, 3));
    const path = join(folder, "model.safetensors");
    const tensors: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
    {
      await using file = await openSafetensors(path);
      for (const [name, { shape }] of file.tensors)
        tensors[name.replace("transformer.", "")] = { shape, data: await file.readFloat32(name) };
    }
    tensors["lm_head.weight"] = { shape: [61, 16], data: tensors["wte.weight"]!.data.slice() };
    await writeSafetensors(path, tensors);
    expect(await loadModel(folder)).toEqual(initializeWeights(TINY, 3));
    await checkModel(folder, TINY);
    tensors["lm_head.weight"].data[0]! += 1;
    await writeSafetensors(path, tensors);
    await expect(loadModel(folder)).rejects.toThrow(/lm_head.weight must equal wte.weight/);
    await expect(checkModel(folder, TINY)).rejects.toThrow(/lm_head.weight must equal wte.weight/);
  });
});
