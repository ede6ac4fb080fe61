/**
 * A batch in the parts that are computed at once, and what each part's run is fed with beside the parameters. Nothing is
 * executed here, so that every engine computes the same.
 */
import type { TensorData } from "../../engine/engine.ts";
import { sequenceStatistics } from "../../mixture/objective.ts";
import type { TrainingBatch } from "../contract.ts";
import type { GradientObjective } from "../gradient-objective.ts";
import { batchInputs, type GradientShape } from "../programs.ts";
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

export function objectiveOf(setup: StepperSetup): GradientObjective {
  const { proxy, accumulation, precision, batchSize, microBatch, engine } = setup;
  const parts = partsOf(setup);
  if (!proxy || (parts > 1 && accumulation === "exact")) return { kind: "weighted" };
  return {
    kind: "adaptive",
    objective: proxy.graph,
    domains: proxy.domains,
    reference: proxy.reference,
    earlier: batchSize - microBatch,
    scaled: parts > 1 || precision === "float16",
    carried: engine.runsAtOnce > 1,
  };
}

/** Exact parts need the losses of all of them before the first gradient. */
export function needsForward(setup: StepperSetup): boolean {
  return setup.proxy !== undefined && objectiveOf(setup).kind === "weighted";
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
    objective.kind === "adaptive"
      ? adaptiveFeeds(setup, objective, request, new Float32Array(0), 0, lossScale)
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
  if (objective.kind === "adaptive") {
    for (let part = 0; part < parts; part++) {
      const feeds = { ...ids(part), ...adaptiveFeeds(setup, objective, request, all, part, lossScale) };
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
    weights = objectiveTokenWeights(setup, request, all, lossScale);
  } else weights = meanTokenWeights(batch, lossScale);
  for (let part = 0; part < parts; part++) {
    const feeds = { ...ids(part), tokenWeight: rowsOf(weights, part, parts) };
    keep(part, await runs.gradients(feeds, part === 0));
    await breathe(signal);
  }
  return all;
}

/** Losses of a batch of any multiple of the rows that are computed at once, [B, T]. */
export async function forwardInParts(
  { microBatch, model }: StepperSetup,
  { inputs, targets }: Pick<TrainingBatch, "inputs" | "targets">,
  runs: Pick<PartRuns, "forward">,
): Promise<Float32Array> {
  const parts = inputs.length / (microBatch * model.sequenceLength);
  if (!Number.isInteger(parts))
    throw new RangeError(
      `losses: a batch must be a multiple of ${microBatch} sequences, found ${inputs.length} tokens`,
    );
  const all = new Float32Array(inputs.length);
  for (let part = 0; part < parts; part++) {
    const losses = await runs.forward({ inputs: rowsOf(inputs, part, parts), targets: rowsOf(targets, part, parts) });
    all.set(losses, part * losses.length);
  }
  return all;
}

/** Each unmasked token counts the same. */
function meanTokenWeights({ mask }: TrainingBatch, lossScale: number): Float32Array {
  const tokens = mask.reduce((sum, counts) => sum + (counts > 0 ? 1 : 0), 0);
  return mask.map((counts) => (counts > 0 ? lossScale / tokens : 0));
}

/** Token weights of the objective from the losses of the whole batch. */
function objectiveTokenWeights(
  { proxy }: StepperSetup,
  { batch, reference, before }: StepRequest,
  loss: Float32Array,
  lossScale: number,
): Float32Array {
  const sums = sequenceStatistics({ ...batch, loss, reference });
  const finite = [sums.loss, sums.excess].every((values) => values.every(Number.isFinite));
  if (!finite) return new Float32Array(loss.length).fill(Number.NaN); // diverged, and the norm will say so
  return spread(proxy!.host.step(before!.state, sums).tokenWeight, batch.mask, lossScale);
}

/** A weight for each sequence as one for each of its unmasked tokens. @param perRow [B] @param mask [B, T] */
function spread(perRow: Float64Array, mask: Float32Array, scale: number): Float32Array {
  const T = mask.length / perRow.length;
  return mask.map((counts, at) => (counts > 0 ? scale * perRow[Math.floor(at / T)]! : 0));
}

/** @param losses of the parts before this one */
function adaptiveFeeds(
  setup: StepperSetup,
  objective: Extract<GradientObjective, { kind: "adaptive" }>,
  { batch, reference, before }: StepRequest,
  losses: Float32Array,
  part: number,
  lossScale: number,
): Feeds {
  const parts = partsOf(setup);
  const state = Object.entries(before!.state).map(([name, values]) => [`state/${name}`, Float32Array.from(values)]);
  const feeds: Feeds = {
    mask: rowsOf(batch.mask, part, parts),
    domains: rowsOf(batch.domains, part, parts),
    ...(objective.reference && { reference: rowsOf(reference!, part, parts) }),
    ...Object.fromEntries(state),
    ...(objective.scaled && { weightScale: Float32Array.of(lossScale / parts) }),
  };
  if (parts === 1) return feeds;
  const last = part === parts - 1;
  const E = objective.earlier;
  const T = setup.model.sequenceLength;
  // An earlier part updates nothing: its weights are those of the step before, whatever the losses are.
  const { domains, ...sums } = sequenceStatistics({
    loss: losses.subarray(0, E * T),
    reference: reference?.subarray(0, E * T),
    mask: last ? batch.mask.subarray(0, E * T) : new Float32Array(E * T),
    domains: batch.domains.subarray(0, E),
  });
  return {
    ...feeds,
    given: Float32Array.of(last ? 0 : 1),
    alpha: Float32Array.from(before!.alpha),
    "earlier/domains": domains,
    ...Object.fromEntries(Object.entries(sums).map(([name, values]) => [`earlier/${name}`, Float32Array.from(values)])),
  };
}

function rowsOf<A extends TensorData>(values: A, part: number, parts: number): A {
  const length = values.length / parts;
  return values.subarray(part * length, (part + 1) * length) as A;
}
