/**
 * What an architecture is to the rest of the trainer: the names, shapes and first values of its parameters, and the way
 * from token ids to final hidden states. Each takes a configuration as given, whether its defaults are filled in or not.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { ModelConfig } from "../contract.ts";

export type Tensors = Readonly<Record<string, Tensor>>;
/** by parameter name, in the order in which they are stored */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/** Every value the same, or normal with mean 0. */
export type InitialValue = { readonly constant: number } | { readonly deviation: number };

export interface ForwardOptions {
  /** keep one [N, D] array of each layer, and compute the layer again in the backward pass */
  readonly recompute?: boolean;
}

export interface Architecture<Complete extends ModelConfig> {
  /** Fills in what a configuration leaves out, and leaves out what only other architectures have. */
  complete(config: ModelConfig): Complete;
  parameterShapes(config: ModelConfig): Shapes;
  /** embeddings that are looked up, not multiplied with; the tokens' [V, D] first */
  readonly lookups: readonly [tokens: string, ...others: string[]];
  initialValue(config: ModelConfig, name: string): InitialValue;
  /** @param ids int32 [B, T] @returns [N, D], after the last norm */
  hiddenStates(
    tf: TensorFlow,
    config: ModelConfig,
    parameters: Tensors,
    ids: Tensor,
    options: Required<ForwardOptions>,
  ): Tensor;
}

/** The output layer of a model whose embeddings are not tied, [V, D]. */
export const OUTPUT_LAYER = "lm_head.weight";
