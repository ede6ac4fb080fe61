/**
 * GPT-2 in TensorFlow.js ops, as Hugging Face's GPT2LMHeadModel computes it: pre-layer-norm, learned positions, biases,
 * GELU. Parameters have its names (without `transformer.`) and layouts, so weights move without conversion.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { ModelConfig } from "../contract.ts";
import { causalAttention, geluTanh, layerNorm } from "../layers.ts";
import { type Architecture, type InitialValue, OUTPUT_LAYER, type Shapes, type Tensors } from "./architecture.ts";
import { geluExact } from "./layers.ts";
import { runLayer } from "./recompute.ts";

/** A GPT-2 with every default filled in. */
export type Gpt2Model = ModelConfig &
  Readonly<Required<Pick<ModelConfig, "innerWidth" | "tied" | "activation" | "normEpsilon">>> & {
    readonly architecture: "gpt2";
  };

const STANDARD_DEVIATION = 0.02;

function complete(config: ModelConfig): Gpt2Model {
  const { vocabularySize, sequenceLength, width, layers, heads } = config;
  const { innerWidth = 4 * width, tied = true, activation = "gelu_new", normEpsilon = 1e-5 } = config;
  const sizes = { vocabularySize, sequenceLength, width, layers, heads, innerWidth };
  return { architecture: "gpt2", ...sizes, tied, activation, normEpsilon };
}

/** Linear layers are [in, out]. */
function parameterShapes(config: ModelConfig): Shapes {
  const { vocabularySize: V, sequenceLength: T, width: D, layers: L, innerWidth: F, tied } = complete(config);
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
    shapes[`${layer}mlp.c_fc.weight`] = [D, F];
    shapes[`${layer}mlp.c_fc.bias`] = [F];
    shapes[`${layer}mlp.c_proj.weight`] = [F, D];
    shapes[`${layer}mlp.c_proj.bias`] = [D];
  }
  shapes["ln_f.weight"] = [D];
  shapes["ln_f.bias"] = [D];
  if (!tied) shapes[OUTPUT_LAYER] = [V, D];
  return shapes;
}

/** GPT-2's scheme: matrices normal, those into the residual stream ÷ √(2L); biases 0, layer norms 1. */
function initialValue({ layers: L }: ModelConfig, name: string): InitialValue {
  if (/\bln_\w+\.weight$/.test(name)) return { constant: 1 };
  if (name.endsWith(".bias")) return { constant: 0 };
  return { deviation: name.endsWith("c_proj.weight") ? STANDARD_DEVIATION / Math.sqrt(2 * L) : STANDARD_DEVIATION };
}

export const gpt2: Architecture<Gpt2Model> = {
  complete,
  parameterShapes,
  lookups: ["wte.weight", "wpe.weight"],
  initialValue,
  hiddenStates(tf, config, parameters, ids, { recompute }) {
    const model = complete(config);
    const { width: D, layers: L, normEpsilon } = model;
    const [B = 0, T = 0] = ids.shape;
    const N = B * T;
    const embedded = tf.gather(parameters["wte.weight"]!, tf.reshape(ids, [N]) as never); // [N, D]
    let x = tf.reshape(tf.add(tf.reshape(embedded, [B, T, D]), parameters["wpe.weight"]!), [N, D]); // [N, D]
    for (let l = 0; l < L; l++)
      x = runLayer(tf, (x, layer) => transformerLayer(tf, model, layer, x, B), x, parameters, `h.${l}.`, recompute);
    return layerNorm(tf, x, parameters["ln_f.weight"]!, parameters["ln_f.bias"]!, normEpsilon); // [N, D]
  },
};

/** @param p the layer's parameters, by their names within it @param x [N, D] @returns [N, D] */
function transformerLayer(tf: TensorFlow, model: Gpt2Model, p: Tensors, x: Tensor, B: number): Tensor {
  const { width: D, heads: H, normEpsilon, activation } = model;
  const N = x.shape[0]!;
  const T = N / B;
  const linear = (x: Tensor, name: string): Tensor => tf.add(tf.matMul(x, p[`${name}.weight`]!), p[`${name}.bias`]!);
  const norm = (x: Tensor, name: string): Tensor =>
    layerNorm(tf, x, p[`${name}.weight`]!, p[`${name}.bias`]!, normEpsilon);
  const gelu = activation === "gelu" ? geluExact : geluTanh;

  const qkv = tf.reshape(linear(norm(x, "ln_1"), "attn.c_attn"), [B, T, 3, H, D / H]);
  const [q, k, v] = tf
    .split(tf.transpose(qkv, [2, 0, 3, 1, 4]), 3, 0)
    .map((part) => tf.reshape(part, [B, H, T, D / H]));
  const attended = causalAttention(tf, q!, k!, v!); // [B, H, T, D/H]
  const joined = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [N, D]); // [N, D]
  const between = tf.add(x, linear(joined, "attn.c_proj")); // [N, D]
  const inner = gelu(tf, linear(norm(between, "ln_2"), "mlp.c_fc")); // [N, F]
  return tf.add(between, linear(inner, "mlp.c_proj")); // [N, D]
}
