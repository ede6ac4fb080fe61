/**
 * Models in Hugging Face's layout: a folder with `config.json` and `model.safetensors` that transformers loads as
 * GPT2LMHeadModel or LlamaForCausalLM, and the same made elsewhere, in shards or in 16 bits, as a reference model here.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "../formats/safetensors.ts";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { sha256, sha256File } from "../lib/hash.ts";
import { OUTPUT_LAYER } from "./architectures/architecture.ts";
import type { ModelConfig } from "./contract.ts";
import { type ConfigFile, choiceOf, parseConfigFile, refuseModel } from "./huggingface/config.ts";
import type { ModelFormat } from "./huggingface/format.ts";
import { gpt2Format } from "./huggingface/gpt2.ts";
import { llamaFormat } from "./huggingface/llama.ts";
import { ModelTensors, SINGLE_FILE, tensorFiles } from "./huggingface/tensors.ts";
import type { ModelWeights } from "./initialization.ts";
import { type CompleteModel, outputEmbedding, parameterShapes, tokenEmbedding } from "./model.ts";
import { describeFault, modelFaults } from "./settings.ts";

const FORMATS: Readonly<Record<ModelConfig["architecture"], ModelFormat>> = { gpt2: gpt2Format, llama: llamaFormat };

const CONFIG_FILE = "config.json";

/** Vocabularies are often padded to a multiple of this in training; the padding is never a target. */
const VOCABULARY_PADDING = 128;

/** The folder's files that make the model: the same weights with another number of heads are another model. */
export async function modelFiles(folder: string): Promise<string[]> {
  const present = async (name: string) => (await stat(join(folder, name)).catch(() => null)) !== null;
  return [CONFIG_FILE, ...(await tensorFiles(folder, present))];
}

/** Hash of a model, whatever else its folder holds. @throws the file system's error where a file is missing */
export async function modelSha256(folder: string): Promise<string> {
  const hashes = await Promise.all((await modelFiles(folder)).map((name) => sha256File(join(folder, name))));
  return sha256(hashes.join("/"));
}

export async function saveModel(
  folder: string,
  weights: ModelWeights,
  options: { readonly endOfText?: number | null } = {},
): Promise<void> {
  const { config, parameters } = weights;
  const format = FORMATS[config.architecture];
  const tensors = Object.fromEntries(
    Object.entries(parameterShapes(config)).map(([name, shape]) => [
      storedName(name, format.prefix),
      { shape, data: parameters[name]! },
    ]),
  );
  await writeSafetensors(join(folder, SINGLE_FILE), tensors, { format: "pt" });
  const file = format.toConfigFile(config, options.endOfText ?? null);
  await writeFileAtomic(join(folder, CONFIG_FILE), `${JSON.stringify(file, null, 2)}\n`);
}

export interface ModelDemands {
  /** of the tokens that it is to be run on */
  readonly vocabularySize: number;
  /** T of the batches; a model with more positions is cut to it */
  readonly sequenceLength: number;
}

/** @throws DoremiError missing-file; model-folder where the model is another architecture, vocabulary or shape */
export async function loadModel(folder: string, demands?: ModelDemands): Promise<ModelWeights> {
  const { tensors, stored, prefix } = await openModel(folder, demands);
  try {
    const config = demands ? { ...stored, sequenceLength: demands.sequenceLength } : stored;
    const parameters: Record<string, Float32Array> = {};
    for (const [name, shape] of Object.entries(parameterShapes(config))) {
      const values = await tensors.readFloat32(storedName(name, prefix));
      const size = shape.reduce((product, length) => product * length, 1);
      parameters[name] = size < values.length ? values.slice(0, size) : values; // learned positions, the first T
    }
    await checkTied(tensors, stored, parameters[tokenEmbedding(stored)]!);
    return { config, parameters };
  } finally {
    await tensors.close();
  }
}

/**
 * Refuses what `loadModel` would, reading little more than headers.
 * @returns the model as it is stored @throws as `loadModel`
 */
export async function checkModel(folder: string, demands: ModelDemands): Promise<CompleteModel> {
  const { tensors, stored, prefix } = await openModel(folder, demands);
  try {
    if (tensors.has(OUTPUT_LAYER) && stored.tied)
      await checkTied(tensors, stored, await tensors.readFloat32(storedName(tokenEmbedding(stored), prefix)));
    return stored;
  } finally {
    await tensors.close();
  }
}

/** The output layer is beside the body, not in it. */
function storedName(name: string, prefix: string): string {
  return name === OUTPUT_LAYER ? name : prefix + name;
}

/** Configuration and tensor shapes are right; the caller closes the tensors. */
async function openModel(
  folder: string,
  demands: ModelDemands | undefined,
): Promise<{ tensors: ModelTensors; stored: CompleteModel; prefix: string }> {
  const path = join(folder, CONFIG_FILE);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTDIR") throw error;
    throw new DoremiError(
      "missing-input",
      "missing-file",
      `${folder}: must be a folder with config.json and model.safetensors, and is a file; name the folder that it is in`,
      { file: folder, cause: error },
    );
  });
  const file = parseConfigFile(path, text);
  const format = formatOf(file);
  const stored = format.fromConfigFile(file);
  const [fault] = modelFaults(stored);
  if (fault) throw refuseModel(path, `${fault.setting} ${describeFault(fault)}`);
  if (demands) checkDemands(path, format, stored, demands);
  const [, ...files] = await modelFiles(folder);
  const tensors = await ModelTensors.open(folder, files);
  try {
    const prefix = tensors.has(tokenEmbedding(stored)) ? "" : format.prefix;
    checkTensors(tensors, stored, format, prefix);
    return { tensors, stored, prefix };
  } catch (error) {
    await tensors.close();
    throw error;
  }
}

function formatOf(file: ConfigFile): ModelFormat {
  const formats = new Map<unknown, ModelFormat>(Object.entries(FORMATS));
  return choiceOf(file, "model_type", formats, undefined);
}

function checkTensors(tensors: ModelTensors, stored: CompleteModel, format: ModelFormat, prefix: string): void {
  const expected = new Set<string>([OUTPUT_LAYER]);
  for (const [name, shape] of Object.entries(parameterShapes(stored))) {
    const full = storedName(name, prefix);
    expected.add(full);
    const found = tensors.shapeOf(full);
    if (found.length !== shape.length || found.some((size, i) => size !== shape[i]))
      throw refuseModel(tensors.path, `${full} must have the shape [${shape}] that config.json says, found [${found}]`);
  }
  const unknown = tensors.names().find((name) => !expected.has(name) && !format.buffers.test(name));
  if (unknown !== undefined)
    throw refuseModel(
      tensors.path,
      `must hold the tensors that config.json says and no others, found ${unknown}; it belongs to another kind of model`,
    );
}

/** Some exporters store the tied output layer a second time. */
async function checkTied(tensors: ModelTensors, stored: CompleteModel, embedding: Float32Array): Promise<void> {
  const name = outputEmbedding(stored);
  if (name === OUTPUT_LAYER || !tensors.has(OUTPUT_LAYER)) return;
  const head = await tensors.readFloat32(OUTPUT_LAYER);
  if (head.length !== embedding.length || head.some((value, i) => value !== embedding[i])) {
    throw refuseModel(
      tensors.path,
      `${OUTPUT_LAYER} must equal ${name} where config.json says tie_word_embeddings, and does not; if both were trained, set tie_word_embeddings to false`,
    );
  }
}

function checkDemands(
  path: string,
  format: ModelFormat,
  stored: ModelConfig,
  { vocabularySize, sequenceLength }: ModelDemands,
): void {
  if (stored.vocabularySize < vocabularySize || stored.vocabularySize >= vocabularySize + VOCABULARY_PADDING) {
    throw refuseModel(
      path,
      `vocab_size must be ${vocabularySize}, as that of the tokens is (or padded by less than ${VOCABULARY_PADDING}), found ${stored.vocabularySize}; use the tokenizer that the model was trained with`,
    );
  }
  if (stored.sequenceLength < sequenceLength) {
    throw refuseModel(
      path,
      `${format.positions} must be at least the sequence length ${sequenceLength}, found ${stored.sequenceLength}; shorten sequenceLength`,
    );
  }
}
