/**
 * The trainer's programs for an engine. All share one shape: the model's losses per token, a weight for each token, and
 * the gradients of the weighted sum. The weights are given, or follow from the losses as an objective has it. A program
 * may end there, add its gradients to a sum, or go on to the optimizer.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Program, TensorSpec } from "../engine/engine.ts";
import type { TensorFlow } from "../engine/tensorflow.ts";
import type { ModelConfig, OptimizerConfig } from "./contract.ts";
import { tokenLosses } from "./loss.ts";
import { hiddenStates, outputEmbedding, parameterShapes, type Tensors } from "./model.ts";
import type { GraphObjective, SequenceSums } from "./objectives/graph-objective.ts";
import { graphOptimizer } from "./optimizer.ts";

const float = (...shape: readonly number[]): TensorSpec => ({ shape, dtype: "float32" });
const int = (...shape: readonly number[]): TensorSpec => ({ shape, dtype: "int32" });

/** What the gradient is of. */
export type GradientObjective =
  /** Σ weight · loss over the tokens; input `tokenWeight` [B, T] */
  | { readonly kind: "weighted" }
  /**
   * Weights follow from the losses. Inputs `mask` [B, T], `domains` [B], `state/…`, and `reference` [B, T] where losses
   * are compared with a reference's.
   */
  | {
      readonly kind: "adaptive";
      readonly objective: GraphObjective;
      readonly domains: number; // K
      readonly reference: boolean;
      /**
       * Sequences of the batch that were computed before these, 0 for a batch that is not divided. Else the rows are the
       * last part, with further inputs `earlier/…` [E], what the sequences before it add up to; or, where the input
       * `given` is 1, an earlier part, whose domain weights are the input `alpha` [K].
       */
      readonly earlier: number; // E
      /** all token weights are multiplied by the input `weightScale` */
      readonly scaled: boolean;
      /** the state after the step comes out, as `next/state/…`, for the next of several steps in one run */
      readonly carried: boolean;
    };

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
  const matrix = float(rows, model.sequenceLength);
  const ids = int(rows, model.sequenceLength);
  if (objective.kind === "weighted") return { inputs: ids, targets: ids, tokenWeight: matrix };
  const { earlier: E } = objective;
  return {
    inputs: ids,
    targets: ids,
    mask: matrix,
    domains: int(rows),
    ...(objective.reference && { reference: matrix }),
    ...prefixed(
      "state",
      mapValues(objective.objective.state, (length) => float(length)),
    ),
    ...(objective.scaled && { weightScale: float() }),
    ...(E > 0 && {
      given: float(),
      alpha: float(objective.domains),
      ...prefixed("earlier", {
        domains: int(E),
        tokens: float(E),
        loss: float(E),
        excess: float(E),
        clipped: float(E),
      }),
    }),
  };
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

function tokenWeights(
  tf: TensorFlow,
  loss: Tensor,
  objective: GradientObjective,
  given: Tensors,
  keep: (name: string, tensor: Tensor) => void,
): Tensor {
  if (objective.kind === "weighted") return given.tokenWeight!;
  const [B, T] = loss.shape as [number, number];
  const counts = tf.greater(given.mask!, 0); // [B, T]
  // Selected, not multiplied: whatever is under the mask, NaN included, stays out.
  const masked = (x: Tensor): Tensor => tf.where(counts, x, tf.zerosLike(x));
  const excess = masked(objective.reference ? tf.sub(loss, given.reference!) : loss); // [B, T]
  const own: SequenceSums = {
    domains: given.domains!,
    tokens: tf.sum(tf.cast(counts, "float32"), 1),
    loss: objective.reference ? tf.sum(masked(loss), 1) : tf.sum(excess, 1),
    excess: tf.sum(excess, 1),
    clipped: tf.sum(tf.relu(excess), 1),
  };
  const all = objective.earlier === 0 ? own : withEarlier(tf, own, given);
  const step = objective.objective.step(
    tf,
    mapValues(objective.objective.state, (_, name) => given[`state/${name}`]!),
    all,
  );
  if (objective.carried) for (const [name, value] of Object.entries(step.state)) keep(`next/state/${name}`, value);
  const perRow = objective.earlier === 0 ? step.tokenWeight : weightsOfPart(tf, objective, own, step.alpha, given); // [B]
  const weights = masked(tf.tile(tf.reshape(perRow, [B, 1]), [1, T])); // [B, T]
  return objective.scaled ? tf.mul(weights, given.weightScale!) : weights;
}

type Adaptive = Extract<GradientObjective, { kind: "adaptive" }>;

/** Each part counts by its own tokens, as if it were a batch. */
function weightsOfPart(
  tf: TensorFlow,
  { objective }: Adaptive,
  own: SequenceSums,
  alpha: Tensor,
  given: Tensors,
): Tensor {
  const isGiven = tf.greater(tf.tile(tf.reshape(given.given!, [1]), [alpha.size]), 0); // [K]
  return objective.weigh!(tf, tf.where(isGiven, given.alpha!, alpha), own); // [B]
}

function withEarlier(tf: TensorFlow, own: SequenceSums, given: Tensors): SequenceSums {
  const join = (name: keyof SequenceSums): Tensor => tf.concat([given[`earlier/${name}`]!, own[name]]);
  return {
    domains: join("domains"),
    tokens: join("tokens"),
    loss: join("loss"),
    excess: join("excess"),
    clipped: join("clipped"),
  };
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

function prefixed<T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));
}

function mapValues<T, U>(values: Readonly<Record<string, T>>, map: (value: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value, name)]));
}
