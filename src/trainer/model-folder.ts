/**
 * Models in Hugging Face's layout: a folder with `config.json` and `model.safetensors` that transformers loads as
 * GPT2LMHeadModel, and the same made elsewhere as a reference model here.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, type SafetensorsFile, writeSafetensors } from "../formats/safetensors.ts";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { sha256, sha256File } from "../lib/hash.ts";
import type { ModelConfig } from "./contract.ts";
import type { ModelWeights } from "./initialization.ts";
import { parameterShapes } from "./model.ts";

const LAYER_NORM_EPSILON = 1e-5;
const PREFIX = "transformer.";
const HEAD = "lm_head.weight";

/** All that a model is here: the same weights with another number of heads are another model. */
export const MODEL_FILES = ["config.json", "model.safetensors"] as const;

/** Hash of a model, whatever else its folder holds. @throws the file system's error where a file is missing */
export async function modelSha256(folder: string): Promise<string> {
  const hashes = await Promise.all(MODEL_FILES.map((name) => sha256File(join(folder, name))));
  return sha256(hashes.join("/"));
}

/** Vocabularies are often padded to a multiple of this in training; the padding is never a target. */
const VOCABULARY_PADDING = 128;

export async function saveModel(
  folder: string,
  weights: ModelWeights,
  options: { readonly endOfText?: number | null } = {},
): Promise<void> {
  const { config, parameters } = weights;
  const shapes = parameterShapes(config);
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [PREFIX + name, { shape, data: parameters[name]! }]),
  );
  await writeSafetensors(join(folder, "model.safetensors"), tensors, { format: "pt" });
  await writeFileAtomic(
    join(folder, "config.json"),
    `${JSON.stringify(huggingFaceConfig(config, options.endOfText ?? null), null, 2)}\n`,
  );
}

function huggingFaceConfig(config: ModelConfig, endOfText: number | null): Record<string, unknown> {
  return {
    activation_function: "gelu_new",
    architectures: ["GPT2LMHeadModel"],
    attn_pdrop: 0,
    bos_token_id: endOfText,
    embd_pdrop: 0,
    eos_token_id: endOfText,
    initializer_range: 0.02,
    layer_norm_epsilon: LAYER_NORM_EPSILON,
    model_type: "gpt2",
    n_ctx: config.sequenceLength,
    n_embd: config.width,
    n_head: config.heads,
    n_inner: null,
    n_layer: config.layers,
    n_positions: config.sequenceLength,
    reorder_and_upcast_attn: false,
    resid_pdrop: 0,
    scale_attn_by_inverse_layer_idx: false,
    scale_attn_weights: true,
    tie_word_embeddings: true,
    torch_dtype: "float32",
    use_cache: true,
    vocab_size: config.vocabularySize,
  };
}

export interface ModelDemands {
  /** of the tokenizer */
  readonly vocabularySize: number;
  /** T of the batches; a model with more positions is cut to it */
  readonly sequenceLength: number;
}

/** @throws DoremiError missing-file; model-folder where the model is another architecture, vocabulary or shape */
export async function loadModel(folder: string, demands?: ModelDemands): Promise<ModelWeights> {
  const { file, stored, prefix } = await openModel(folder, demands);
  try {
    const parameters: Record<string, Float32Array> = {};
    for (const name of Object.keys(parameterShapes(stored))) parameters[name] = await file.readFloat32(prefix + name);
    await checkTied(file, parameters["wte.weight"]!);
    const config = demands ? { ...stored, sequenceLength: demands.sequenceLength } : stored;
    parameters["wpe.weight"] = parameters["wpe.weight"]!.slice(0, config.sequenceLength * config.width);
    return { config, parameters };
  } finally {
    await file.close();
  }
}

/** Refuses what `loadModel` would, reading little more than headers. @throws as `loadModel` */
export async function checkModel(folder: string, demands: ModelDemands): Promise<void> {
  const { file, prefix } = await openModel(folder, demands);
  try {
    if (file.tensors.has(HEAD)) await checkTied(file, await file.readFloat32(`${prefix}wte.weight`));
  } finally {
    await file.close();
  }
}

/** Configuration and tensor shapes are right; the caller closes the file. */
async function openModel(folder: string, demands: ModelDemands | undefined) {
  const path = join(folder, "config.json");
  const stored = parseConfig(path, await readFile(path, "utf8"));
  if (demands) checkDemands(path, stored, demands);
  const file = await openSafetensors(join(folder, "model.safetensors"));
  try {
    const prefix = file.tensors.has("wte.weight") ? "" : PREFIX;
    for (const [name, shape] of Object.entries(parameterShapes(stored))) {
      const found = file.floatingPoint(prefix + name);
      if (found.shape.length !== shape.length || found.shape.some((size, i) => size !== shape[i])) {
        throw refuse(
          file.path,
          `${prefix + name} must have the shape [${shape}] that config.json says, found [${found.shape}]`,
        );
      }
    }
    return { file, stored, prefix };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Some exporters store the tied output layer a second time. */
async function checkTied(file: SafetensorsFile, embedding: Float32Array): Promise<void> {
  if (!file.tensors.has(HEAD)) return;
  const head = await file.readFloat32(HEAD);
  if (head.length !== embedding.length || head.some((value, i) => value !== embedding[i])) {
    throw refuse(
      file.path,
      "lm_head.weight must equal wte.weight (tied embeddings), and does not; use a model with tied embeddings",
    );
  }
}

function parseConfig(path: string, text: string): ModelConfig {
  let raw: Record<string, unknown>;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw refuse(path, `must be JSON: ${(error as Error).message}`);
  }
  /** Values that the mathematics here is fixed to; absent means the default of transformers. */
  const fixed: [string, readonly unknown[]][] = [
    ["model_type", ["gpt2"]],
    ["activation_function", ["gelu_new", "gelu_pytorch_tanh", undefined]],
    ["layer_norm_epsilon", [LAYER_NORM_EPSILON, undefined]],
    ["scale_attn_weights", [true, undefined]],
    ["scale_attn_by_inverse_layer_idx", [false, undefined]],
    ["tie_word_embeddings", [true, undefined]],
    ["add_cross_attention", [false, undefined]],
  ];
  for (const [key, allowed] of fixed) {
    if (!allowed.includes(raw[key])) {
      throw refuse(
        path,
        `${key} must be ${JSON.stringify(allowed[0])}, found ${JSON.stringify(raw[key])}; only GPT-2 models can be a reference`,
      );
    }
  }
  const size = (key: string, fallback?: number): number => {
    const value = raw[key] ?? fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1)
      throw refuse(path, `${key} must be an integer ≥ 1, found ${JSON.stringify(value)}`);
    return value;
  };
  const config: ModelConfig = {
    architecture: "gpt2",
    vocabularySize: size("vocab_size"),
    sequenceLength: size("n_positions", typeof raw.n_ctx === "number" ? raw.n_ctx : 1024),
    width: size("n_embd"),
    layers: size("n_layer"),
    heads: size("n_head"),
  };
  if (size("n_inner", 4 * config.width) !== 4 * config.width)
    throw refuse(path, `n_inner must be 4 times n_embd (${4 * config.width}), found ${raw.n_inner}`);
  if (config.width % config.heads !== 0)
    throw refuse(path, `n_head must divide n_embd, found ${config.heads} and ${config.width}`);
  return config;
}

function checkDemands(path: string, stored: ModelConfig, { vocabularySize, sequenceLength }: ModelDemands): void {
  if (stored.vocabularySize < vocabularySize || stored.vocabularySize >= vocabularySize + VOCABULARY_PADDING) {
    throw refuse(
      path,
      `vocab_size must be the tokenizer's ${vocabularySize} (or that padded by less than ${VOCABULARY_PADDING}), found ${stored.vocabularySize}; use the tokenizer that the model was trained with`,
    );
  }
  if (stored.sequenceLength < sequenceLength) {
    throw refuse(
      path,
      `n_positions must be at least the sequence length ${sequenceLength}, found ${stored.sequenceLength}; shorten sequenceLength`,
    );
  }
}

function refuse(path: string, what: string): DoremiError {
  return new DoremiError("bad-data", "model-folder", `${path}: ${what}`, { file: path });
}
