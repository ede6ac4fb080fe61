/**
 * What sets one optimizer apart from another: the arrays that it keeps for a parameter, its coefficients at a step, and
 * the update itself, once in place and once as TensorFlow.js ops. Clipping, scaling and leaving out are the same for all.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { Kernels } from "./kernels.ts";

export type Shape = readonly number[];

export interface UpdateRule {
  /** Arrays kept for a parameter of this shape, by kind; they start as zeros. */
  stateOf(shape: Shape): Record<string, Shape>;
  /** Coefficients of the update, in float64; each becomes a float32 where it is used. @param step 1-based */
  coefficients(step: number, steps: number): Record<string, number>;
  /** Coefficients that leave parameter and state as they were, whatever finite gradient there is. Others stay. */
  readonly idle: Readonly<Record<string, number>>;
  /** Bytes that `updateInPlace` works in for a parameter of this shape. */
  scratchBytes(shape: Shape): number;
  updateInPlace(kernels: Kernels, place: ParameterPlace, coefficients: Readonly<Record<string, number>>): void;
  /** @param operands.scale a scalar, factor of the gradient */
  updated(tf: TensorFlow, operands: GraphOperands): { parameter: Tensor; state: Record<string, Tensor> };
}

/** A parameter in WebAssembly memory: addresses of its arrays. */
export interface ParameterPlace {
  readonly shape: Shape;
  readonly length: number; // elements
  readonly parameter: number;
  readonly gradient: number;
  /** by kind */
  readonly state: Readonly<Record<string, number>>;
  readonly scratch: number;
  /** factor of the gradient */
  readonly scale: number;
}

export interface GraphOperands {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  /** by kind */
  readonly state: Readonly<Record<string, Tensor>>;
  readonly coefficients: Readonly<Record<string, Tensor>>;
  readonly scale: Tensor;
}

/**
 * Weight decay is for matrices: nanoGPT decays every parameter with two dimensions, and the Trainer of transformers all
 * but biases and norms, which is the same, embeddings included.
 */
export function decays(shape: Shape): boolean {
  return shape.length >= 2;
}
