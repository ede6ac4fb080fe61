/**
 * The trainer's programs for an engine: the training step (forward, domain-weight update, backward, optimizer in one)
 * and the forward pass that gives losses per token.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Program, TensorSpec } from "../engine/engine.ts";
import type { TensorFlow } from "../engine/tensorflow.ts";
import type { DoReMiConfig, ModelConfig, OptimizerConfig } from "./contract.ts";
import { type DomainUpdate, domainUpdate } from "./domain-update.ts";
import { tokenLosses } from "./loss.ts";
import { hiddenStates, parameterShapes, type Tensors } from "./model.ts";
import { adamW, globalNorm } from "./optimizer.ts";

const float = (...shape: number[]): TensorSpec => ({ shape, dtype: "float32" });
const int = (...shape: number[]): TensorSpec => ({ shape, dtype: "int32" });

/** Groups of a step's state: the current values go in under these names and a slash, the next ones come out under `next/`. */
export const STATE = ["parameter", "first", "second"] as const;

export interface StepShape {
  readonly model: ModelConfig;
  readonly batchSize: number; // B
  readonly optimizer: OptimizerConfig;
  /** present for a proxy */
  readonly doremi?: DoReMiConfig & { readonly domains: number };
}

/**
 * Inputs: state; inputs, targets [B, T] int32; mask [B, T]; rate, correction1, correction2; a proxy also reference
 * [B, T], domains [B] int32, alpha [K].
 * Outputs: next state; loss (mean over unmasked tokens), gradientNorm; a proxy also next/alpha, excess, tokens and
 * meanLoss [K].
 */
export function trainingProgram({ model, batchSize: B, optimizer, doremi }: StepShape): Program {
  const T = model.sequenceLength;
  const shapes = parameterShapes(model);
  const names = Object.keys(shapes);
  const inputs: Record<string, TensorSpec> = {};
  for (const group of STATE) for (const name of names) inputs[`${group}/${name}`] = float(...shapes[name]!);
  Object.assign(inputs, { inputs: int(B, T), targets: int(B, T), mask: float(B, T) });
  Object.assign(inputs, { rate: float(), correction1: float(), correction2: float() });
  if (doremi) Object.assign(inputs, { reference: float(B, T), domains: int(B), alpha: float(doremi.domains) });

  return {
    name: doremi ? "proxy-step" : "training-step",
    inputs,
    build(tf, given) {
      const group = (prefix: string): Record<string, Tensor> =>
        Object.fromEntries(names.map((name) => [name, given[`${prefix}/${name}`]!]));
      const parameters = group("parameter");
      const kept: Record<string, Tensor> = {};
      // What the objective computes on its way leaves it here; it is kept from the scopes that end around it.
      const keep = (name: string, tensor: Tensor): Tensor => {
        kept[name] = tf.keep(tensor);
        return tensor;
      };
      const objective = (...values: Tensor[]): Tensor => {
        const current = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
        const loss = losses(tf, model, current, given.inputs!, given.targets!); // [B, T]
        return doremi ? groupObjective(tf, loss, given, doremi, keep) : meanObjective(tf, loss, given.mask!, keep);
      };
      const raw = tf.grads(objective as (...values: Tensor[]) => never)(names.map((name) => parameters[name]!));
      const gradients = Object.fromEntries(names.map((name, i) => [name, raw[i]!]));
      const { norm, scale } = globalNorm(tf, gradients, optimizer.clipNorm);
      const scalars = { rate: given.rate!, correction1: given.correction1!, correction2: given.correction2!, scale };
      const next = adamW(
        tf,
        optimizer,
        { parameters, first: group("first"), second: group("second") },
        gradients,
        scalars,
      );
      const outputs: Record<string, Tensor> = { ...kept, gradientNorm: norm };
      for (const name of names) {
        outputs[`next/parameter/${name}`] = next.parameters[name]!;
        outputs[`next/first/${name}`] = next.first[name]!;
        outputs[`next/second/${name}`] = next.second[name]!;
      }
      return outputs;
    },
  };
}

/** Inputs: parameter/…; inputs, targets [B, T] int32. Output: losses [B, T]. */
export function lossProgram(model: ModelConfig, batchSize: number): Program {
  const T = model.sequenceLength;
  const shapes = parameterShapes(model);
  const inputs: Record<string, TensorSpec> = { inputs: int(batchSize, T), targets: int(batchSize, T) };
  for (const [name, shape] of Object.entries(shapes)) inputs[`parameter/${name}`] = float(...shape);
  return {
    name: "token-losses",
    inputs,
    build(tf, given) {
      const parameters = Object.fromEntries(Object.keys(shapes).map((name) => [name, given[`parameter/${name}`]!]));
      return { losses: losses(tf, model, parameters, given.inputs!, given.targets!) };
    },
  };
}

function losses(tf: TensorFlow, model: ModelConfig, parameters: Tensors, inputs: Tensor, targets: Tensor): Tensor {
  const hidden = hiddenStates(tf, model, parameters, inputs); // [N, D]
  const perToken = tokenLosses(tf, hidden, parameters["wte.weight"]!, tf.reshape(targets, [targets.size])); // [N]
  return tf.reshape(perToken, inputs.shape); // [B, T]
}

type Keep = (name: string, tensor: Tensor) => Tensor;

/** Mean over the batch's unmasked tokens. */
function meanObjective(tf: TensorFlow, loss: Tensor, mask: Tensor, keep: Keep): Tensor {
  const weight = tf.div(mask, tf.maximum(tf.sum(mask), 1)); // [B, T]
  return keep("loss", tf.sum(tf.mul(loss, weight)));
}

/** The group objective. Its gradient takes alpha as given, though alpha was computed from the same losses. */
function groupObjective(tf: TensorFlow, loss: Tensor, given: Tensors, config: DoReMiConfig, keep: Keep): Tensor {
  return tf.customGrad((...args) => {
    const [loss, save] = args as unknown as [Tensor, (saved: Tensor[]) => void];
    const { reference, mask, domains, alpha } = given;
    const update: DomainUpdate = domainUpdate(
      tf,
      { loss, reference: reference!, mask: mask!, domains: domains!, alpha: alpha! },
      config,
    );
    keep("next/alpha", update.alpha);
    keep("excess", update.excess);
    keep("tokens", update.tokens);
    keep("meanLoss", update.meanLoss);
    keep("loss", tf.div(tf.sum(tf.mul(update.meanLoss, update.tokens)), tf.maximum(tf.sum(update.tokens), 1)));
    save([update.tokenWeight]);
    return { value: update.objective, gradFunc: (dy: Tensor, saved: Tensor[]) => tf.mul(saved[0]!, dy) };
  })(loss);
}
