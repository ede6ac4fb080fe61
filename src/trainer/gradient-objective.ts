/**
 * What the gradient of a training program is of: token weights that are given, or that follow from the losses as an
 * objective has it, in a whole batch or in its parts.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorSpec } from "../engine/engine.ts";
import type { TensorFlow } from "../engine/tensorflow.ts";
import type { Tensors } from "./model.ts";
import { float, int, mapValues, prefixed } from "./named-values.ts";
import type { GraphObjective, SequenceSums } from "./objectives/graph-objective.ts";

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

/** The inputs of a run of so many rows that its token weights follow from. @param T sequence length */
export function objectiveInputs(objective: GradientObjective, rows: number, T: number): Record<string, TensorSpec> {
  const matrix = float(rows, T);
  if (objective.kind === "weighted") return { tokenWeight: matrix };
  const { earlier: E } = objective;
  return {
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

/** Weight of each token, [B, T]. @param keep takes further outputs of the program */
export function tokenWeights(
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
