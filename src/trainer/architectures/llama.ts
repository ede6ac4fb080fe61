/**
 * Llama in TensorFlow.js ops, as Hugging Face's LlamaForCausalLM computes it: pre-RMS-norm, rotary positions, SwiGLU,
 * heads that share keys and values, no biases. Parameters have its names (without `model.`) and layouts, so weights move
 * without conversion.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { ModelConfig } from "../contract.ts";
import { causalAttention } from "../layers.ts";
import { type Architecture, OUTPUT_LAYER, type Shapes, type Tensors } from "./architecture.ts";
import { repeatHeads, rmsNorm, swiGlu } from "./layers.ts";
import { runLayer } from "./recompute.ts";
import { type RotaryTables, rotaryTables, rotate } from "./rotary.ts";

/** A Llama with every default filled in. */
export type LlamaModel = ModelConfig &
  Readonly<
    Required<Pick<ModelConfig, "keyValueHeads" | "innerWidth" | "tied" | "normEpsilon" | "ropeTheta" | "ropeScaling">>
  > & { readonly architecture: "llama" };

const STANDARD_DEVIATION = 0.02;

/** Matrix products like sizes that are multiples of this. */
const INNER_WIDTH_MULTIPLE = 64;

function complete(config: ModelConfig): LlamaModel {
  const { vocabularySize, sequenceLength, width, layers, heads } = config;
  const { keyValueHeads = heads, tied = true, normEpsilon = 1e-5, ropeTheta = 10_000, ropeScaling = null } = config;
  // Three matrices of 8D ÷ 3 have the size of the two of 4D that they stand for.
  const innerWidth = config.innerWidth ?? Math.ceil((8 * width) / 3 / INNER_WIDTH_MULTIPLE) * INNER_WIDTH_MULTIPLE;
  const sizes = { vocabularySize, sequenceLength, width, layers, heads, keyValueHeads, innerWidth };
  return { architecture: "llama", ...sizes, tied, normEpsilon, ropeTheta, ropeScaling };
}

/** Linear layers are [out, in]. */
function parameterShapes(config: ModelConfig): Shapes {
  const { vocabularySize: V, width: D, layers: L, heads: H, keyValueHeads, innerWidth: F, tied } = complete(config);
  const KV = keyValueHeads * (D / H); // width of all keys
  const shapes: Record<string, readonly number[]> = { "embed_tokens.weight": [V, D] };
  for (let l = 0; l < L; l++) {
    const layer = `layers.${l}.`;
    shapes[`${layer}input_layernorm.weight`] = [D];
    shapes[`${layer}self_attn.q_proj.weight`] = [D, D];
    shapes[`${layer}self_attn.k_proj.weight`] = [KV, D];
    shapes[`${layer}self_attn.v_proj.weight`] = [KV, D];
    shapes[`${layer}self_attn.o_proj.weight`] = [D, D];
    shapes[`${layer}post_attention_layernorm.weight`] = [D];
    shapes[`${layer}mlp.gate_proj.weight`] = [F, D];
    shapes[`${layer}mlp.up_proj.weight`] = [F, D];
    shapes[`${layer}mlp.down_proj.weight`] = [D, F];
  }
  shapes["norm.weight"] = [D];
  if (!tied) shapes[OUTPUT_LAYER] = [V, D];
  return shapes;
}

export const llama: Architecture<LlamaModel> = {
  complete,
  parameterShapes,
  lookups: ["embed_tokens.weight"],
  initialValue: (_, name) => (/norm\.weight$/.test(name) ? { constant: 1 } : { deviation: STANDARD_DEVIATION }),
  hiddenStates(tf, config, parameters, ids, { recompute }) {
    const model = complete(config);
    const { layers: L, normEpsilon } = model;
    const [B = 0, T = 0] = ids.shape;
    const tables = rotaryTables(model, T);
    let x = tf.gather(parameters["embed_tokens.weight"]!, tf.reshape(ids, [B * T]) as never); // [N, D]
    for (let l = 0; l < L; l++) {
      const block = (x: Tensor, layer: Tensors) => transformerLayer(tf, model, layer, x, B, tables);
      x = runLayer(tf, block, x, parameters, `layers.${l}.`, recompute);
    }
    return rmsNorm(tf, x, parameters["norm.weight"]!, normEpsilon); // [N, D]
  },
};

/** @param p the layer's parameters, by their names within it @param x [N, D] @returns [N, D] */
function transformerLayer(
  tf: TensorFlow,
  model: LlamaModel,
  p: Tensors,
  x: Tensor,
  B: number,
  tables: RotaryTables,
): Tensor {
  const { width: D, heads: H, keyValueHeads, normEpsilon } = model;
  const N = x.shape[0]!;
  const T = N / B;
  const linear = (x: Tensor, name: string): Tensor => tf.matMul(x, p[`${name}.weight`]!, false, true);
  const headsOf = (x: Tensor, heads: number): Tensor => tf.transpose(tf.reshape(x, [B, T, heads, D / H]), [0, 2, 1, 3]); // [B, heads, T, E]

  const normed = rmsNorm(tf, x, p["input_layernorm.weight"]!, normEpsilon); // [N, D]
  const q = rotate(tf, headsOf(linear(normed, "self_attn.q_proj"), H), tables); // [B, H, T, E]
  const k = rotate(tf, headsOf(linear(normed, "self_attn.k_proj"), keyValueHeads), tables);
  const v = headsOf(linear(normed, "self_attn.v_proj"), keyValueHeads);
  const group = H / keyValueHeads;
  const attended = causalAttention(tf, q, repeatHeads(tf, k, group), repeatHeads(tf, v, group)); // [B, H, T, E]
  const joined = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [N, D]); // [N, D]
  const between = tf.add(x, linear(joined, "self_attn.o_proj")); // [N, D]
  const inner = rmsNorm(tf, between, p["post_attention_layernorm.weight"]!, normEpsilon); // [N, D]
  const gated = swiGlu(tf, linear(inner, "mlp.gate_proj"), linear(inner, "mlp.up_proj")); // [N, F]
  return tf.add(between, linear(gated, "mlp.down_proj")); // [N, D]
}
