/** GPT2LMHeadModel's config.json. */
import { gpt2 } from "../architectures/gpt2.ts";
import { BOOLEAN, choiceOf, positiveOf, requireFixed, sizeOf } from "./config.ts";
import type { ModelFormat } from "./format.ts";

/** transformers' names of the tanh approximation, which differ in the digits of a constant, and of the exact GELU. */
const ACTIVATIONS: ReadonlyMap<unknown, "gelu_new" | "gelu"> = new Map([
  ["gelu_new", "gelu_new"],
  ["gelu_pytorch_tanh", "gelu_new"],
  ["gelu_fast", "gelu_new"],
  ["gelu", "gelu"],
]);

/** Masks of attention, which are no parameters. */
const BUFFERS = /\battn\.(bias|masked_bias)$/;

export const gpt2Format: ModelFormat = {
  prefix: "transformer.",
  buffers: BUFFERS,
  positions: "n_positions",
  toConfigFile(config, endOfText) {
    const model = gpt2.complete(config);
    return {
      activation_function: model.activation,
      architectures: ["GPT2LMHeadModel"],
      attn_pdrop: 0,
      bos_token_id: endOfText,
      embd_pdrop: 0,
      eos_token_id: endOfText,
      initializer_range: 0.02,
      layer_norm_epsilon: model.normEpsilon,
      model_type: "gpt2",
      n_ctx: model.sequenceLength,
      n_embd: model.width,
      n_head: model.heads,
      n_inner: model.innerWidth === 4 * model.width ? null : model.innerWidth,
      n_layer: model.layers,
      n_positions: model.sequenceLength,
      reorder_and_upcast_attn: false,
      resid_pdrop: 0,
      scale_attn_by_inverse_layer_idx: false,
      scale_attn_weights: true,
      tie_word_embeddings: model.tied,
      torch_dtype: "float32",
      use_cache: true,
      vocab_size: model.vocabularySize,
    };
  },
  fromConfigFile(file) {
    requireFixed(file, {
      scale_attn_weights: true,
      scale_attn_by_inverse_layer_idx: false,
      add_cross_attention: false,
    });
    const width = sizeOf(file, "n_embd", 768);
    return gpt2.complete({
      architecture: "gpt2",
      vocabularySize: sizeOf(file, "vocab_size"),
      sequenceLength: sizeOf(file, "n_positions", typeof file.values.n_ctx === "number" ? file.values.n_ctx : 1024),
      width,
      layers: sizeOf(file, "n_layer", 12),
      heads: sizeOf(file, "n_head", 12),
      innerWidth: sizeOf(file, "n_inner", 4 * width),
      tied: choiceOf(file, "tie_word_embeddings", BOOLEAN, true),
      activation: choiceOf(file, "activation_function", ACTIVATIONS, "gelu_new"),
      normEpsilon: positiveOf(file, "layer_norm_epsilon", 1e-5),
    });
  },
};
