/**
 * A batch in the parts that are computed at once, and what each part's run is fed with beside the parameters. Nothing is
 * executed here, so that every engine computes the same.
 */
import type { TensorData } from "../../engine/engine.ts";
import { domainExcess, updateDoReMi } from "../../mixture/doremi.ts";
import type { TrainingBatch } from "../contract.ts";
import { batchInputs, type GradientShape, type Objective } from "../programs.ts";
import type { StepperSetup, StepRequest } from "./contract.ts";

export type Feeds = Readonly<Record<string, TensorData>>;

/** Executes the parts. What they return may be written over by the next. */
export interface PartRuns {
  /** losses without gradients */
  forward(feeds: Feeds): Promise<Float32Array>;
  /** losses; the gradients go to the sum, which the first part starts */
  gradients(feeds: Feeds, first: boolean): Promise<Float32Array>;
}

/** The stop came between two parts: nothing of the step has happened. */
export class StoppedInStep extends Error {}

/** Lets signals and messages in, which come between parts only. */
async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await new Promise(setImmediate);
  if (signal?.aborted) throw new StoppedInStep("stopped between the parts of a batch");
}

export function partsOf({ batchSize, microBatch }: Pick<StepperSetup, "batchSize" | "microBatch">): number {
  return batchSize / microBatch;
}

export function objectiveOf(setup: StepperSetup): Objective {
  const { doremi, accumulation, precision } = setup;
  const parts = partsOf(setup);
  if (!doremi || (parts > 1 && accumulation === "exact")) return { kind: "weighted" };
  const { eta, smoothing, domains } = doremi;
  // Only a partial objective has the factor that loss scaling needs.
  return { kind: "doremi", config: { eta, smoothing }, domains, partial: parts > 1 || precision === "float16" };
}

/** Exact parts need the losses of all of them before the first gradient. */
export function needsForward(setup: StepperSetup): boolean {
  return setup.doremi !== undefined && objectiveOf(setup).kind === "weighted";
}

export function gradientShape(setup: StepperSetup): GradientShape {
  const { model, microBatch, recompute } = setup;
  return { model, rows: microBatch, objective: objectiveOf(setup), recompute };
}

export function shapesOfFeeds(setup: StepperSetup): Record<string, readonly number[]> {
  return Object.fromEntries(
    Object.entries(batchInputs(gradientShape(setup))).map(([name, { shape }]) => [name, shape]),
  );
}

/** What the one part of a batch that is not divided is fed with. */
export function wholeFeeds(setup: StepperSetup, request: StepRequest, lossScale: number): Feeds {
  const { batch } = request;
  const objective = objectiveOf(setup);
  const feeds =
    objective.kind === "doremi"
      ? doremiFeeds(setup, objective, request, new Float32Array(0), 0, lossScale)
      : { tokenWeight: meanTokenWeights(batch, lossScale) };
  return { inputs: batch.inputs, targets: batch.targets, ...feeds };
}

/** Runs every part of the request's batch. @returns losses of the whole batch, [B, T] @throws StoppedInStep */
export async function runParts(
  setup: StepperSetup,
  request: StepRequest,
  lossScale: number,
  runs: PartRuns,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const parts = partsOf(setup);
  if (parts === 1) return (await runs.gradients(wholeFeeds(setup, request, lossScale), true)).slice();
  const { batch } = request;
  const all = new Float32Array(batch.mask.length);
  const keep = (part: number, losses: Float32Array): void => all.set(losses, part * losses.length);
  const ids = (part: number): Feeds => ({
    inputs: rowsOf(batch.inputs, part, parts),
    targets: rowsOf(batch.targets, part, parts),
  });
  const objective = objectiveOf(setup);
  if (objective.kind === "doremi") {
    for (let part = 0; part < parts; part++) {
      const feeds = { ...ids(part), ...doremiFeeds(setup, objective, request, all, part, lossScale) };
      keep(part, await runs.gradients(feeds, part === 0));
      await breathe(signal);
    }
    return all;
  }
  let weights: Float32Array;
  if (needsForward(setup)) {
    for (let part = 0; part < parts; part++) {
      keep(part, await runs.forward(ids(part)));
      await breathe(signal);
    }
    weights = domainTokenWeights(setup, request, all, lossScale);
  } else weights = meanTokenWeights(batch, lossScale);
  for (let part = 0; part < parts; part++) {
    const feeds = { ...ids(part), tokenWeight: rowsOf(weights, part, parts) };
    keep(part, await runs.gradients(feeds, part === 0));
    await breathe(signal);
  }
  return all;
}

/** Each unmasked token counts the same. */
function meanTokenWeights({ mask }: TrainingBatch, lossScale: number): Float32Array {
  const tokens = mask.reduce((sum, counts) => sum + (counts > 0 ? 1 : 0), 0);
  return mask.map((counts) => (counts > 0 ? lossScale / tokens : 0));
}

/** Weights of DoReMi's objective from the losses of the whole batch: alpha after the update ÷ the domain's tokens. */
function domainTokenWeights(
  { doremi, model }: StepperSetup,
  { batch, reference, alpha }: StepRequest,
  loss: Float32Array,
  lossScale: number,
): Float32Array {
  const excess = domainExcess({ ...batch, loss, reference: reference! }, doremi!.domains);
  const weights = new Float32Array(loss.length);
  if (!excess.clipped.every(Number.isFinite)) return weights.fill(Number.NaN); // diverged, and the norm will say so
  const state = { step: 0, alpha: alpha!, average: alpha! };
  const updated = updateDoReMi(state, excess.clipped, doremi!).alpha;
  for (let at = 0; at < weights.length; at++) {
    const domain = batch.domains[Math.floor(at / model.sequenceLength)]!;
    if (batch.mask[at]! > 0) weights[at] = (lossScale * updated[domain]!) / excess.tokens[domain]!;
  }
  return weights;
}

/** @param losses of the parts before this one */
function doremiFeeds(
  { doremi, model, microBatch }: StepperSetup,
  { partial }: Extract<Objective, { kind: "doremi" }>,
  { batch, reference, alpha }: StepRequest,
  losses: Float32Array,
  part: number,
  lossScale: number,
): Feeds {
  const parts = batch.domains.length / microBatch;
  const feeds = {
    mask: rowsOf(batch.mask, part, parts),
    reference: rowsOf(reference!, part, parts),
    domains: rowsOf(batch.domains, part, parts),
    alpha: Float32Array.from(alpha!),
  };
  if (!partial) return feeds;
  const { eta, smoothing, domains } = doremi!;
  const last = part === parts - 1;
  // An earlier part updates nothing, so what comes before it does not count.
  const rows = last ? part * microBatch : 0;
  const before = rows * model.sequenceLength;
  const prior = domainExcess(
    {
      loss: losses.subarray(0, before),
      reference: reference!.subarray(0, before),
      mask: batch.mask.subarray(0, before),
      domains: batch.domains.subarray(0, rows),
    },
    domains,
  );
  return {
    ...feeds,
    eta: Float32Array.of(last ? eta : 0),
    smoothing: Float32Array.of(last ? smoothing : 0),
    priorExcess: Float32Array.from(prior.clipped, (mean, domain) => mean * prior.tokens[domain]!),
    priorTokens: Float32Array.from(prior.tokens),
    weightScale: Float32Array.of(lossScale / parts),
  };
}

function rowsOf<A extends TensorData>(values: A, part: number, parts: number): A {
  const length = values.length / parts;
  return values.subarray(part * length, (part + 1) * length) as A;
}
