/**
 * The models that are trained here, behind one entry: what a configuration means, its parameters, its mathematics as
 * TensorFlow.js ops, and its cost. No loss, no training here. The architectures are in ./architectures.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";
import {
  type Architecture,
  type ForwardOptions,
  type InitialValue,
  OUTPUT_LAYER,
  type Shapes,
  type Tensors,
} from "./architectures/architecture.ts";
import { type Gpt2Model, gpt2 } from "./architectures/gpt2.ts";
import { type LlamaModel, llama } from "./architectures/llama.ts";
import type { ModelConfig } from "./contract.ts";

export type { ForwardOptions, Shapes, Tensors };

/** A configuration with every default of its architecture filled in. */
export type CompleteModel = Gpt2Model | LlamaModel;

const ARCHITECTURES: Readonly<Record<ModelConfig["architecture"], Architecture<CompleteModel>>> = { gpt2, llama };

const of = (config: ModelConfig): Architecture<CompleteModel> => ARCHITECTURES[config.architecture];

/** Fills in what a configuration leaves out. Fields of other architectures are left out. */
export function completeModel(config: ModelConfig): CompleteModel {
  return of(config).complete(config);
}

/** Name → shape of every parameter, in the order in which they are stored. */
export function parameterShapes(config: ModelConfig): Shapes {
  return of(config).parameterShapes(config);
}

/** What a parameter is before training. */
export function initialValue(config: ModelConfig, name: string): InitialValue {
  return of(config).initialValue(config, name);
}

/** Name of the parameter [V, D] that token ids are looked up in. */
export function tokenEmbedding(config: ModelConfig): string {
  return of(config).lookups[0];
}

/** Name of the parameter [V, D] that hidden states are multiplied with for the scores of the next token. */
export function outputEmbedding(config: ModelConfig): string {
  return completeModel(config).tied ? tokenEmbedding(config) : OUTPUT_LAYER;
}

/** Final hidden states. @param ids int32 [B, T] @returns [N, D] */
export function hiddenStates(
  tf: TensorFlow,
  config: ModelConfig,
  parameters: Tensors,
  ids: Tensor,
  { recompute = false }: ForwardOptions = {},
): Tensor {
  return of(config).hiddenStates(tf, config, parameters, ids, { recompute });
}

/** Next-token scores. @returns [B, T, V] */
export function logits(tf: TensorFlow, config: ModelConfig, parameters: Tensors, ids: Tensor): Tensor {
  const hidden = hiddenStates(tf, config, parameters, ids); // [N, D]
  const scores = tf.matMul(hidden, parameters[outputEmbedding(config)]!, false, true); // [N, V]
  return tf.reshape(scores, [...ids.shape, config.vocabularySize]);
}

export interface ParameterCount {
  readonly total: number;
  /** embeddings of tokens and positions, and an output layer that is not tied */
  readonly embeddings: number;
  /** all others, which papers call the size without embeddings */
  readonly body: number;
}

export function countParameters(config: ModelConfig): ParameterCount {
  let [total, embeddings] = [0, 0];
  for (const [name, shape] of Object.entries(parameterShapes(config))) {
    const size = shape.reduce((product, length) => product * length, 1);
    total += size;
    if (isEmbedding(config, name)) embeddings += size;
  }
  return { total, embeddings, body: total - embeddings };
}

export function parameterCount(config: ModelConfig): number {
  return countParameters(config).total;
}

/**
 * Floating-point operations of a forward pass over the tokens: two for each weight of a matrix product, and those of
 * scores and sums of attention, counted over all T positions as is usual, though causal attention needs half of them.
 */
export function forwardFlops(config: ModelConfig, tokens: number): number {
  const { vocabularySize: V, sequenceLength: T, width: D, layers: L } = config;
  let weights = V * D; // the output layer's, tied or not
  for (const [name, shape] of Object.entries(parameterShapes(config)))
    if (shape.length === 2 && !isEmbedding(config, name)) weights += shape[0]! * shape[1]!;
  return 2 * tokens * weights + 4 * tokens * T * D * L;
}

/** Of one training step, forward and backward, on the tokens. Recomputed layers are not counted. */
export function trainingFlops(config: ModelConfig, tokens: number): number {
  return 3 * forwardFlops(config, tokens);
}

function isEmbedding(config: ModelConfig, name: string): boolean {
  return name === OUTPUT_LAYER || of(config).lookups.includes(name);
}
