/**
 * The trainer's programs for an engine. All share one shape: the model's losses per token, a weight for each token, and
 * the gradients of the weighted sum. The weights are given, or follow from the losses as an objective has it. A program
 * may end there, add its gradients to a sum, or go on to the optimizer.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Program, TensorSpec } from "../engine/engine.ts";
import type { TensorFlow } from "../engine/tensorflow.ts";
import type { ModelConfig, OptimizerConfig } from "./contract.ts";
import { type GradientObjective, objectiveInputs, tokenWeights } from "./gradient-objective.ts";
import { tokenLosses } from "./loss.ts";
import { hiddenStates, outputEmbedding, parameterShapes, type Tensors } from "./model.ts";
import { float, int, mapValues, prefixed } from "./named-values.ts";
import { graphOptimizer } from "./optimizer.ts";

export interface GradientShape {
  readonly model: ModelConfig;
  /** sequences in one run, B */
  readonly rows: number;
  readonly objective: GradientObjective;
  /** activations are computed again in the backward pass rather than kept */
  readonly recompute: boolean;
}

/** The inputs of a run that come with its batch. */
export function batchInputs({ model, rows, objective }: GradientShape): Record<string, TensorSpec> {
  const ids = int(rows, model.sequenceLength);
  return { inputs: ids, targets: ids, ...objectiveInputs(objective, rows, model.sequenceLength) };
}

/** Inputs: parameter/…, those of the batch. Outputs: losses [B, T], gradient/…, and next/state/… where it is carried. */
export function gradientProgram(shape: GradientShape): Program {
  return {
    name: "gradients",
    inputs: { ...named("parameter", parameterShapes(shape.model)), ...batchInputs(shape) },
    build(tf, given) {
      const { kept, gradients } = gradientsOf(tf, shape, given);
      return { ...kept, ...prefixed("gradient", gradients) };
    },
  };
}

/** As `gradientProgram`, but the gradients are added to the inputs sum/… and come out as next/sum/…. */
export function accumulationProgram(shape: GradientShape): Program {
  const shapes = parameterShapes(shape.model);
  return {
    name: "accumulation",
    inputs: { ...named("parameter", shapes), ...named("sum", shapes), ...batchInputs(shape) },
    build(tf, given) {
      const { kept, gradients } = gradientsOf(tf, shape, given);
      const sums = mapValues(gradients, (gradient, name) => tf.add(given[`sum/${name}`]!, gradient));
      return { ...kept, ...prefixed("next/sum", sums) };
    },
  };
}

/**
 * Gradients and optimizer in one. Inputs: parameter/…, the optimizer's state and scalars, `gradientScale` (a factor of
 * the gradients before the optimizer), those of the batch. Outputs: losses, next/… of parameters and state,
 * gradientNorm, and next/state/… where it is carried.
 */
export function stepProgram(shape: GradientShape, optimizer: OptimizerConfig): Program {
  return {
    name: "step",
    inputs: { ...optimizerInputs(shape.model, optimizer), ...batchInputs(shape) },
    build(tf, given) {
      const { kept, gradients } = gradientsOf(tf, shape, given);
      return { ...kept, ...updated(tf, shape.model, optimizer, given, gradients) };
    },
  };
}

/** The optimizer alone, on sum/…. Otherwise as `stepProgram`. */
export function updateProgram(model: ModelConfig, optimizer: OptimizerConfig): Program {
  const shapes = parameterShapes(model);
  return {
    name: "update",
    inputs: { ...optimizerInputs(model, optimizer), ...named("sum", shapes) },
    build: (tf, given) =>
      updated(
        tf,
        model,
        optimizer,
        given,
        mapValues(shapes, (_, name) => given[`sum/${name}`]!),
      ),
  };
}

/** Inputs: parameter/…; inputs, targets [B, T] int32. Output: losses [B, T]. */
export function lossProgram(model: ModelConfig, rows: number): Program {
  const ids = int(rows, model.sequenceLength);
  const shapes = parameterShapes(model);
  return {
    name: "token-losses",
    inputs: { inputs: ids, targets: ids, ...named("parameter", shapes) },
    build(tf, given) {
      const parameters = mapValues(shapes, (_, name) => given[`parameter/${name}`]!);
      return { losses: losses(tf, model, parameters, given.inputs!, given.targets!, false) };
    },
  };
}

function gradientsOf(
  tf: TensorFlow,
  { model, objective, recompute }: GradientShape,
  given: Tensors,
): { kept: Record<string, Tensor>; gradients: Record<string, Tensor> } {
  const names = Object.keys(parameterShapes(model));
  const kept: Record<string, Tensor> = {};
  // What is computed on the way leaves it here; it is kept from the scopes that end around it.
  const keep = (name: string, tensor: Tensor): void => {
    kept[name] = tf.keep(tensor);
  };
  const weightedSum = (...values: Tensor[]): Tensor => {
    const parameters = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
    const loss = losses(tf, model, parameters, given.inputs!, given.targets!, recompute); // [B, T]
    keep("losses", loss);
    return withWeights(tf, loss, (loss) => tokenWeights(tf, loss, objective, given, keep));
  };
  const raw = tf.grads(weightedSum as (...values: Tensor[]) => never)(names.map((name) => given[`parameter/${name}`]!));
  return { kept, gradients: Object.fromEntries(names.map((name, i) => [name, raw[i]!])) };
}

function losses(
  tf: TensorFlow,
  model: ModelConfig,
  parameters: Tensors,
  inputs: Tensor,
  targets: Tensor,
  recompute: boolean,
): Tensor {
  const hidden = hiddenStates(tf, model, parameters, inputs, { recompute }); // [N, D]
  const embedding = parameters[outputEmbedding(model)]!; // [V, D]
  const perToken = tokenLosses(tf, hidden, embedding, tf.reshape(targets, [targets.size])); // [N]
  return tf.reshape(perToken, inputs.shape); // [B, T]
}

/** Σ weight · loss, whose gradient takes the weights as given, though they may follow from the losses. */
function withWeights(tf: TensorFlow, loss: Tensor, weightsOf: (loss: Tensor) => Tensor): Tensor {
  return tf.customGrad((...args) => {
    const [loss, save] = args as unknown as [Tensor, (saved: Tensor[]) => void];
    const weights = weightsOf(loss); // [B, T]
    save([weights]);
    return {
      value: tf.sum(tf.mul(loss, weights)),
      gradFunc: (dy: Tensor, saved: Tensor[]) => tf.mul(saved[0]!, dy),
    };
  })(loss);
}

function optimizerInputs(model: ModelConfig, optimizer: OptimizerConfig): Record<string, TensorSpec> {
  const shapes = parameterShapes(model);
  const { stateShapes, scalars } = graphOptimizer(optimizer);
  return {
    ...named("parameter", shapes),
    ...mapValues(stateShapes(shapes), (shape) => float(...shape)),
    ...mapValues(scalars(1, 1), () => float()),
    gradientScale: float(),
  };
}

function updated(
  tf: TensorFlow,
  model: ModelConfig,
  optimizer: OptimizerConfig,
  given: Tensors,
  gradients: Tensors,
): Record<string, Tensor> {
  const shapes = parameterShapes(model);
  const { stateShapes, scalars, update } = graphOptimizer(optimizer);
  const next = update(tf, {
    parameters: mapValues(shapes, (_, name) => given[`parameter/${name}`]!),
    state: mapValues(stateShapes(shapes), (_, name) => given[name]!),
    gradients,
    scalars: mapValues(scalars(1, 1), (_, name) => given[name]!),
    gradientScale: given.gradientScale!,
  });
  return {
    gradientNorm: next.gradientNorm,
    ...prefixed("next/parameter", next.parameters),
    ...prefixed("next", next.state),
  };
}

const named = (prefix: string, shapes: Readonly<Record<string, readonly number[]>>): Record<string, TensorSpec> =>
  prefixed(
    prefix,
    mapValues(shapes, (shape) => float(...shape)),
  );
