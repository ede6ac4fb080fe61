/**
 * GPT-2 in TensorFlow.js ops, as Hugging Face's GPT2LMHeadModel computes it: pre-layer-norm, learned positions, biases,
 * tanh GELU, output tied to the token embedding. Parameters have its names and layouts, so weights move without
 * conversion. No loss, no training here.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";
import type { ModelConfig } from "./contract.ts";
import { causalAttention, geluTanh, layerNorm } from "./layers.ts";

export const LAYER_NORM_EPSILON = 1e-5;

export type Tensors = Readonly<Record<string, Tensor>>;

/** Name → shape of every parameter, in the order in which they are stored. Linear layers are [in, out]. */
export function parameterShapes(config: ModelConfig): Record<string, readonly number[]> {
  const { vocabularySize: V, sequenceLength: T, width: D, layers: L } = config;
  const shapes: Record<string, readonly number[]> = { "wte.weight": [V, D], "wpe.weight": [T, D] };
  for (let l = 0; l < L; l++) {
    const layer = `h.${l}.`;
    shapes[`${layer}ln_1.weight`] = [D];
    shapes[`${layer}ln_1.bias`] = [D];
    shapes[`${layer}attn.c_attn.weight`] = [D, 3 * D];
    shapes[`${layer}attn.c_attn.bias`] = [3 * D];
    shapes[`${layer}attn.c_proj.weight`] = [D, D];
    shapes[`${layer}attn.c_proj.bias`] = [D];
    shapes[`${layer}ln_2.weight`] = [D];
    shapes[`${layer}ln_2.bias`] = [D];
    shapes[`${layer}mlp.c_fc.weight`] = [D, 4 * D];
    shapes[`${layer}mlp.c_fc.bias`] = [4 * D];
    shapes[`${layer}mlp.c_proj.weight`] = [4 * D, D];
    shapes[`${layer}mlp.c_proj.bias`] = [D];
  }
  shapes["ln_f.weight"] = [D];
  shapes["ln_f.bias"] = [D];
  return shapes;
}

export function parameterCount(config: ModelConfig): number {
  return Object.values(parameterShapes(config)).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** Floating-point operations of one training step (forward and backward) on N tokens. */
export function trainingFlops(config: ModelConfig, tokens: number): number {
  const { vocabularySize: V, sequenceLength: T, width: D, layers: L } = config;
  return 6 * tokens * (12 * L * D * D + V * D) + 12 * tokens * T * D * L;
}

/** Final hidden states. @param ids int32 [B, T] @returns [N, D] */
export function hiddenStates(tf: TensorFlow, config: ModelConfig, parameters: Tensors, ids: Tensor): Tensor {
  const { width: D, heads: H, layers: L } = config;
  const [B = 0, T = 0] = ids.shape;
  const N = B * T;
  const p = (name: string): Tensor => parameters[name]!;
  const linear = (x: Tensor, name: string): Tensor => tf.add(tf.matMul(x, p(`${name}.weight`)), p(`${name}.bias`));
  const norm = (x: Tensor, name: string): Tensor =>
    layerNorm(tf, x, p(`${name}.weight`), p(`${name}.bias`), LAYER_NORM_EPSILON);

  const embedded = tf.gather(p("wte.weight"), tf.reshape(ids, [N]) as never); // [N, D]
  let x = tf.reshape(tf.add(tf.reshape(embedded, [B, T, D]), p("wpe.weight")), [N, D]); // [N, D]
  for (let l = 0; l < L; l++) {
    const layer = `h.${l}`;
    const qkv = tf.reshape(linear(norm(x, `${layer}.ln_1`), `${layer}.attn.c_attn`), [B, T, 3, H, D / H]);
    const [q, k, v] = tf
      .split(tf.transpose(qkv, [2, 0, 3, 1, 4]), 3, 0)
      .map((part) => tf.reshape(part, [B, H, T, D / H]));
    const attended = causalAttention(tf, q!, k!, v!); // [B, H, T, D/H]
    const joined = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [N, D]); // [N, D]
    x = tf.add(x, linear(joined, `${layer}.attn.c_proj`)); // [N, D]
    const inner = geluTanh(tf, linear(norm(x, `${layer}.ln_2`), `${layer}.mlp.c_fc`)); // [N, 4D]
    x = tf.add(x, linear(inner, `${layer}.mlp.c_proj`)); // [N, D]
  }
  return norm(x, "ln_f"); // [N, D]
}

/** Next-token scores. @returns [B, T, V] */
export function logits(tf: TensorFlow, config: ModelConfig, parameters: Tensors, ids: Tensor): Tensor {
  const hidden = hiddenStates(tf, config, parameters, ids); // [N, D]
  return tf.reshape(tf.matMul(hidden, parameters["wte.weight"]!, false, true), [...ids.shape, config.vocabularySize]);
}
