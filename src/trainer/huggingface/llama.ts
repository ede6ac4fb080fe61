/** LlamaForCausalLM's config.json, as transformers 4 writes it (rope_theta, rope_scaling) and as 5 does (rope_parameters). */
import { llama } from "../architectures/llama.ts";
import type { RopeScaling } from "../contract.ts";
import { BOOLEAN, type ConfigFile, choiceOf, positiveOf, refuseModel, requireFixed, sizeOf } from "./config.ts";
import type { ModelFormat } from "./format.ts";

/** Frequencies of the rotary positions, which older versions stored. */
const BUFFERS = /\brotary_emb\.inv_freq$/;

const ACTIVATIONS: ReadonlyMap<unknown, "silu"> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
]);

export const llamaFormat: ModelFormat = {
  prefix: "model.",
  buffers: BUFFERS,
  positions: "max_position_embeddings",
  toConfigFile(config, endOfText) {
    const model = llama.complete(config);
    const { ropeScaling: scaling } = model;
    return {
      architectures: ["LlamaForCausalLM"],
      attention_bias: false,
      attention_dropout: 0,
      bos_token_id: endOfText,
      eos_token_id: endOfText,
      head_dim: model.width / model.heads,
      hidden_act: "silu",
      hidden_size: model.width,
      initializer_range: 0.02,
      intermediate_size: model.innerWidth,
      max_position_embeddings: model.sequenceLength,
      mlp_bias: false,
      model_type: "llama",
      num_attention_heads: model.heads,
      num_hidden_layers: model.layers,
      num_key_value_heads: model.keyValueHeads,
      pretraining_tp: 1,
      rms_norm_eps: model.normEpsilon,
      rope_scaling: scaling && {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalPositions,
      },
      rope_theta: model.ropeTheta,
      tie_word_embeddings: model.tied,
      torch_dtype: "float32",
      use_cache: true,
      vocab_size: model.vocabularySize,
    };
  },
  fromConfigFile(file) {
    requireFixed(file, { attention_bias: false, mlp_bias: false });
    choiceOf(file, "hidden_act", ACTIVATIONS, "silu");
    const width = sizeOf(file, "hidden_size", 4096);
    const heads = sizeOf(file, "num_attention_heads", 32);
    if (sizeOf(file, "head_dim", width / heads) !== width / heads)
      throw refuseModel(
        file.path,
        `head_dim must be hidden_size ÷ num_attention_heads (${width / heads}), found ${file.values.head_dim}`,
      );
    return llama.complete({
      architecture: "llama",
      vocabularySize: sizeOf(file, "vocab_size"),
      sequenceLength: sizeOf(file, "max_position_embeddings", 2048),
      width,
      layers: sizeOf(file, "num_hidden_layers", 32),
      heads,
      keyValueHeads: sizeOf(file, "num_key_value_heads", heads),
      innerWidth: sizeOf(file, "intermediate_size", 11_008),
      tied: choiceOf(file, "tie_word_embeddings", BOOLEAN, false),
      normEpsilon: positiveOf(file, "rms_norm_eps", 1e-6),
      ...rotaryOf(file),
    });
  },
};

const ROPE_TYPES = new Map<unknown, "default" | "llama3">([
  ["default", "default"],
  ["llama3", "llama3"],
]);

/** Either place may hold the base and the kind, whose older name is `type`. */
function rotaryOf({ path, values }: ConfigFile): { ropeTheta: number; ropeScaling: RopeScaling | null } {
  const nested = values.rope_parameters ?? values.rope_scaling ?? {};
  if (typeof nested !== "object") throw refuseModel(path, "rope_parameters and rope_scaling must be objects or null");
  const { type: olderName, ...rest } = nested as Record<string, unknown>;
  const rotary: ConfigFile = { path, values: { rope_theta: values.rope_theta, rope_type: olderName, ...rest } };
  requireFixed(rotary, { partial_rotary_factor: 1 });
  const ropeTheta = positiveOf(rotary, "rope_theta", 10_000);
  if (choiceOf(rotary, "rope_type", ROPE_TYPES, "default") === "default") return { ropeTheta, ropeScaling: null };
  const ropeScaling = {
    factor: positiveOf(rotary, "factor"),
    lowFrequencyFactor: positiveOf(rotary, "low_freq_factor"),
    highFrequencyFactor: positiveOf(rotary, "high_freq_factor"),
    originalPositions: sizeOf(rotary, "original_max_position_embeddings"),
  };
  return { ropeTheta, ropeScaling };
}
