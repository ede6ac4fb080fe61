/** Folders in Hugging Face's layout: what is written, and what others write. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import type { ModelConfig } from "../../src/trainer/contract.ts";
import { parseConfigFile } from "../../src/trainer/huggingface/config.ts";
import { gpt2Format } from "../../src/trainer/huggingface/gpt2.ts";
import { llamaFormat } from "../../src/trainer/huggingface/llama.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { completeModel, parameterCount } from "../../src/trainer/model.ts";
import { checkModel, loadModel, modelFiles, modelSha256, saveModel } from "../../src/trainer/model-folder.ts";
import { TINY } from "./tiny.ts";

const FILES = new URL("../files/trainer/", import.meta.url).pathname;
const DEMANDS = { vocabularySize: 61, sequenceLength: 12 };
const LLAMA: ModelConfig = { ...TINY, architecture: "llama", keyValueHeads: 1, innerWidth: 24 };

type Stored = Record<string, { shape: readonly number[]; data: Float32Array }>;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-model-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function changeConfig(change: Record<string, unknown>): Promise<void> {
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...change }));
}

async function readAll(path: string): Promise<Stored> {
  const tensors: Stored = {};
  await using file = await openSafetensors(path);
  for (const [name, { shape }] of file.tensors) tensors[name] = { shape, data: await file.readFloat32(name) };
  return tensors;
}

/** A safetensors file of one 16-bit type, which the program itself never writes. */
function sixteenBits(tensors: Stored, dtype: "F16" | "BF16", toBits: (value: number) => number): Buffer {
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const bytes = Buffer.from(Uint16Array.from(data, toBits).buffer);
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

const MODELS: [string, ModelConfig, Record<string, unknown>][] = [
  ["GPT-2", TINY, { model_type: "gpt2", n_embd: 16, n_inner: null, activation_function: "gelu_new" }],
  [
    "untied GPT-2",
    { ...TINY, tied: false, innerWidth: 20, activation: "gelu", normEpsilon: 1e-6 },
    { n_inner: 20, tie_word_embeddings: false, activation_function: "gelu", layer_norm_epsilon: 1e-6 },
  ],
  [
    "Llama",
    LLAMA,
    { model_type: "llama", num_key_value_heads: 1, intermediate_size: 24, rope_theta: 10_000, rope_scaling: null },
  ],
  [
    "untied Llama with scaled rotary positions",
    {
      ...LLAMA,
      tied: false,
      ropeTheta: 500,
      ropeScaling: { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 5 },
    },
    { rope_theta: 500, rope_scaling: expect.objectContaining({ rope_type: "llama3", high_freq_factor: 4 }) },
  ],
];

describe("what is saved", () => {
  test.each(MODELS)("is loaded again: %s", async (_name, config, written) => {
    const weights = initializeWeights(config, 3);
    await saveModel(folder, weights, { endOfText: 60 });
    expect(await loadModel(folder)).toEqual({ ...weights, config: completeModel(config) });
    expect(await checkModel(folder, DEMANDS)).toEqual(completeModel(config));
    const file = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
    expect(file).toMatchObject({ ...written, vocab_size: 61, eos_token_id: 60 });
  });

  test("with more positions is cut to the sequence length", async () => {
    const weights = initializeWeights(TINY, 3);
    await saveModel(folder, weights);
    const cut = await loadModel(folder, { vocabularySize: 61, sequenceLength: 5 });
    expect(cut.config.sequenceLength).toBe(5);
    expect(cut.parameters["wpe.weight"]).toEqual(weights.parameters["wpe.weight"]!.slice(0, 5 * 16));
    await saveModel(folder, initializeWeights(LLAMA, 3));
    const llama = await loadModel(folder, { vocabularySize: 61, sequenceLength: 5 });
    expect(llama).toEqual({ ...initializeWeights(LLAMA, 3), config: completeModel({ ...LLAMA, sequenceLength: 5 }) });
  });
});

describe("what others store", () => {
  test("tensors without the prefix, with buffers, and with an output layer that repeats the embedding", async () => {
    for (const [config, prefix, buffer] of [
      [TINY, "transformer.", "h.0.attn.bias"],
      [LLAMA, "model.", "layers.0.self_attn.rotary_emb.inv_freq"],
    ] as const) {
      const weights = { ...initializeWeights(config, 3), config: completeModel(config) };
      await saveModel(folder, weights);
      const path = join(folder, "model.safetensors");
      const tensors = Object.fromEntries(
        Object.entries(await readAll(path)).map(([name, tensor]) => [name.replace(prefix, ""), tensor]),
      );
      const embedding = Object.values(tensors)[0]!;
      tensors["lm_head.weight"] = { shape: [61, 16], data: embedding.data.slice() };
      tensors[buffer] = { shape: [1], data: Float32Array.of(1) };
      await writeSafetensors(path, tensors);
      expect(await loadModel(folder)).toEqual(weights);
      await checkModel(folder, DEMANDS);

      tensors["lm_head.weight"].data[0]! += 1;
      await writeSafetensors(path, tensors);
      await expect(loadModel(folder)).rejects.toThrow(/lm_head.weight must equal \w+.weight where/);
      await expect(checkModel(folder, DEMANDS)).rejects.toThrow(/lm_head.weight must equal \w+.weight where/);
      // The remedy that the message names.
      await changeConfig({ tie_word_embeddings: false });
      const untied = await loadModel(folder);
      expect(untied.parameters["lm_head.weight"]).toEqual(tensors["lm_head.weight"].data);
    }
  });

  test.each([
    // the upper half of a float32's bits
    ["BF16" as const, (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16],
    // of a multiple of 1/4 below 4, exact: exponent and fraction from the float32's
    [
      "F16" as const,
      (value: number) => {
        const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
        return value === 0
          ? 0
          : ((bits >>> 16) & 0x8000) | ((((bits >>> 23) & 0xff) - 112) << 10) | ((bits >>> 13) & 0x3ff);
      },
    ],
  ])("shards of %s numbers, which an index lists", async (dtype, toBits) => {
    await saveModel(folder, initializeWeights(LLAMA, 3));
    const all = await readAll(join(folder, "model.safetensors"));
    for (const { data } of Object.values(all)) for (const [i] of data.entries()) data[i] = ((i % 15) - 7) / 4;
    const names = Object.keys(all);
    const half = names.length / 2;
    const files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
    const fileOf = (i: number) => files[i < half ? 0 : 1];
    for (const file of files) {
      const part = Object.fromEntries(Object.entries(all).filter((_, i) => fileOf(i) === file));
      await writeFile(join(folder, file), sixteenBits(part, dtype, toBits));
    }
    await rm(join(folder, "model.safetensors"));
    const index = { metadata: {}, weight_map: Object.fromEntries(names.map((name, i) => [name, fileOf(i)])) };
    const indexPath = join(folder, "model.safetensors.index.json");
    await writeFile(indexPath, JSON.stringify(index));

    expect(await modelFiles(folder)).toEqual(["config.json", "model.safetensors.index.json", ...files]);
    const loaded = await loadModel(folder, DEMANDS);
    for (const [name, { data }] of Object.entries(all))
      expect(loaded.parameters[name.replace("model.", "")], name).toEqual(data);

    const before = await modelSha256(folder);
    await writeFile(join(folder, files[1]), await readFile(join(folder, files[0])));
    expect(await modelSha256(folder)).not.toBe(before);
    await expect(loadModel(folder)).rejects.toThrow(/must be in one file, but is in .*00001-of-00002.safetensors too/);
    await writeFile(indexPath, JSON.stringify({ weight_map: { x: "../elsewhere.safetensors" } }));
    await expect(loadModel(folder)).rejects.toThrow(/must name files of this folder, found "..\/elsewhere/);
  });

  test("Llama's configuration by transformers 4, by 5, and as little as it may say", async () => {
    await cp(join(FILES, "llama-untied"), folder, { recursive: true });
    const { config, parameters } = await loadModel(folder);
    const llama3 = {
      factor: 4,
      low_freq_factor: 0.2,
      high_freq_factor: 1,
      original_max_position_embeddings: 11,
    };
    for (const rope_scaling of [
      { rope_type: "llama3", ...llama3 },
      { type: "llama3", ...llama3 },
    ]) {
      const absent = { rope_parameters: undefined, hidden_act: undefined, head_dim: null, mlp_bias: undefined };
      await changeConfig({ ...absent, rope_theta: 100, rope_scaling, tie_word_embeddings: undefined });
      expect(await loadModel(folder)).toEqual({ config, parameters });
    }
    await changeConfig({ rope_scaling: null });
    expect((await loadModel(folder)).config).toEqual({ ...config, ropeScaling: null });
  });
});

/** What the authors' config.json say, but for what is about generating text, and the parameters that they count. */
const PUBLISHED: [string, Record<string, unknown>, number, Partial<ModelConfig>][] = [
  [
    "GPT-2 small",
    {
      activation_function: "gelu_new",
      architectures: ["GPT2LMHeadModel"],
      attn_pdrop: 0.1,
      layer_norm_epsilon: 1e-5,
      model_type: "gpt2",
      n_ctx: 1024,
      n_embd: 768,
      n_head: 12,
      n_layer: 12,
      n_positions: 1024,
      vocab_size: 50_257,
    },
    124_439_808,
    { sequenceLength: 1024, tied: true, innerWidth: 3072 },
  ],
  [
    "TinyLlama 1.1B",
    {
      architectures: ["LlamaForCausalLM"],
      attention_bias: false,
      hidden_act: "silu",
      hidden_size: 2048,
      intermediate_size: 5632,
      max_position_embeddings: 2048,
      model_type: "llama",
      num_attention_heads: 32,
      num_hidden_layers: 22,
      num_key_value_heads: 4,
      pretraining_tp: 1,
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      rope_theta: 10_000,
      tie_word_embeddings: false,
      torch_dtype: "bfloat16",
      vocab_size: 32_000,
    },
    1_100_048_384,
    { keyValueHeads: 4, tied: false, ropeScaling: null },
  ],
  [
    "SmolLM 135M",
    {
      architectures: ["LlamaForCausalLM"],
      attention_bias: false,
      hidden_act: "silu",
      hidden_size: 576,
      intermediate_size: 1536,
      is_llama_config: true,
      max_position_embeddings: 2048,
      mlp_bias: false,
      model_type: "llama",
      num_attention_heads: 9,
      num_hidden_layers: 30,
      num_key_value_heads: 3,
      rms_norm_eps: 1e-5,
      rope_interleaved: false,
      rope_scaling: null,
      rope_theta: 10_000,
      tie_word_embeddings: true,
      vocab_size: 49_152,
    },
    134_515_008,
    { keyValueHeads: 3, tied: true },
  ],
  [
    "Llama 3.2 1B",
    {
      architectures: ["LlamaForCausalLM"],
      attention_bias: false,
      head_dim: 64,
      hidden_act: "silu",
      hidden_size: 2048,
      intermediate_size: 8192,
      max_position_embeddings: 131_072,
      mlp_bias: false,
      model_type: "llama",
      num_attention_heads: 32,
      num_hidden_layers: 16,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-5,
      rope_scaling: {
        factor: 32,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: "llama3",
      },
      rope_theta: 500_000,
      tie_word_embeddings: true,
      vocab_size: 128_256,
    },
    1_235_814_400,
    {
      ropeTheta: 500_000,
      ropeScaling: { factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 8192 },
    },
  ],
];

test.each(PUBLISHED)("the configuration of %s is understood", (_name, file, parameters, expected) => {
  const format = file.model_type === "gpt2" ? gpt2Format : llamaFormat;
  const config = format.fromConfigFile(parseConfigFile("config.json", JSON.stringify(file)));
  expect(config).toMatchObject(expected);
  expect(parameterCount(config)).toBe(parameters);
});

const GPT2_CASES: [string, Record<string, unknown>, typeof DEMANDS | undefined, RegExp][] = [
  [
    "another vocabulary",
    {},
    { ...DEMANDS, vocabularySize: 62 },
    /vocab_size must be 62, as that of the tokens is .* found 61/,
  ],
  ["too few positions", {}, { ...DEMANDS, sequenceLength: 13 }, /n_positions must be at least .* 13, found 12/],
  ["another architecture", { model_type: "mamba" }, undefined, /model_type must be "gpt2" or "llama", found "mamba"/],
  [
    "another activation",
    { activation_function: "relu" },
    undefined,
    /activation_function must be "gelu_new" or .* found "relu"/,
  ],
  [
    "other scores of attention",
    { scale_attn_weights: false },
    undefined,
    /scale_attn_weights must be true, found false/,
  ],
  [
    "untied embeddings without an output layer",
    { tie_word_embeddings: false },
    undefined,
    /has no tensor lm_head.weight/,
  ],
  ["heads that do not divide the width", { n_head: 3 }, undefined, /heads must divide width 16, found 3; use 2 heads/],
  ["other shapes than it says", { n_embd: 8 }, undefined, /wte.weight must have the shape \[61,8\] .* found \[61,16\]/],
  ["more layers than it has", { n_layer: 3 }, undefined, /has no tensor transformer.h.2.ln_1.weight/],
  ["fewer layers than it has", { n_layer: 1 }, undefined, /and no others, found transformer.h.1/],
];
const LLAMA_CASES: typeof GPT2_CASES = [
  [
    "too few positions",
    {},
    { ...DEMANDS, sequenceLength: 13 },
    /max_position_embeddings must be at least .* 13, found 12/,
  ],
  ["biases in attention", { attention_bias: true }, undefined, /attention_bias must be false, found true/],
  ["biases in the feed-forward layers", { mlp_bias: true }, undefined, /mlp_bias must be false, found true/],
  ["another activation", { hidden_act: "gelu" }, undefined, /hidden_act must be "silu" or "swish", found "gelu"/],
  [
    "heads of their own width",
    { head_dim: 8 },
    undefined,
    /head_dim must be hidden_size ÷ num_attention_heads \(4\), found 8/,
  ],
  [
    "other scaled positions",
    { rope_parameters: { rope_type: "yarn" } },
    undefined,
    /rope_type must be "default" or "llama3", found "yarn"/,
  ],
  [
    "partly rotary heads",
    { rope_parameters: { partial_rotary_factor: 0.5 } },
    undefined,
    /partial_rotary_factor must be 1/,
  ],
  [
    "scaling without its numbers",
    { rope_parameters: { rope_type: "llama3" } },
    undefined,
    /factor must be a number > 0, found undefined/,
  ],
  [
    "shared heads that do not divide the heads",
    { num_key_value_heads: 3 },
    undefined,
    /keyValueHeads must divide heads 4, found 3/,
  ],
  ["no size", { hidden_size: "big" }, undefined, /hidden_size must be an integer ≥ 1, found "big"/],
];

describe.each([
  ["gpt2", GPT2_CASES],
  ["llama", LLAMA_CASES],
] as const)("of %s", (kind, cases) => {
  test.each(cases)("refuses %s", async (_what, change, demands, message) => {
    await cp(join(FILES, kind), folder, { recursive: true });
    await changeConfig(change);
    await expect(loadModel(folder, demands)).rejects.toThrow(message);
    const error = await loadModel(folder, demands).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "bad-data" });
    // before anything is trained, by the same rules
    await expect(checkModel(folder, demands ?? DEMANDS)).rejects.toEqual(error);
  });
});
