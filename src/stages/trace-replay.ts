/**
 * Replays a recording under any objectives in one pass over its steps, and checks that the run's own objective gives the
 * weights that the run recorded. The losses stay those of the proxy that was trained.
 */
import { DoremiError } from "../lib/errors.ts";
import type { ObjectiveFacts } from "../mixture/objective.ts";
import { averagesStart, needsReference, type ObjectiveSettings } from "../mixture/objective-settings.ts";
import { createObjective } from "../mixture/objectives.ts";
import { compareWeights, Replay, WeightMean } from "../mixture/replay.ts";
import type { RecordedStep, Recording } from "./trace-read.ts";

export interface ReplayWeights {
  readonly settings: ObjectiveSettings;
  /** mean over the steps: the result [K] */
  readonly average: Float64Array;
  /** of the last step [K] */
  readonly alpha: Float64Array;
}

export interface ReplayResult {
  readonly steps: number;
  /** as recorded */
  readonly run: ReplayWeights;
  /** null where it cannot be told: means by domain, of a run whose objective compared sequences */
  readonly reproduction: Reproduction | null;
  /** in the order of the objectives asked for */
  readonly objectives: readonly ReplayWeights[];
  readonly notes: readonly string[];
}

/** How the run's own objective, replayed, follows the recorded weights of every step. */
export interface Reproduction {
  /** exact: bit for bit; rounded: to rounding, as means by domain allow */
  readonly verdict: "exact" | "rounded" | "different";
  /** largest difference of a domain's weight in any step */
  readonly largest: number;
  /** the first step that is different */
  readonly step: number | null;
}

export interface ReplayOptions {
  /** weights before the first step, in place of the run's [K] */
  readonly start?: readonly number[];
  readonly signal?: AbortSignal;
  /** after each step: that of the run first, then of each objective */
  onStep?(step: number, weights: readonly { readonly alpha: Float64Array; readonly average: Float64Array }[]): void;
}

/** A mean by domain times its tokens, divided again, is off in the last bit; the steps add up what that does. */
const ROUNDING = 1e-9;

/** @throws DoremiError needs-reference, needs-sequences, bad-setting, non-finite-excess, corrupt-file */
export async function replayRecording(
  recording: Recording,
  objectives: readonly ObjectiveSettings[],
  { start, signal, onStep }: ReplayOptions = {},
): Promise<ReplayResult> {
  const { objective, facts } = recording.proxy;
  for (const settings of objectives) requireSupported(settings, recording);
  const given: ObjectiveFacts = start ? { ...facts, start } : facts;
  const run = new WeightMean(facts.start, averagesStart(objective));
  const replays = objectives.map((settings) => new Replay(createObjective(settings, given), given));
  const isTold = recording.of === "sequences" || !comparesSequences(objective);
  const own = isTold ? new OwnReplay(objective, facts) : undefined;
  const shown = [run, ...replays];
  let [steps, measured] = [0, 0];
  for await (const stretch of recording.steps()) {
    signal?.throwIfAborted();
    for (const recorded of stretch) {
      steps = recorded.step;
      if (recorded.heldOut) measured++;
      run.add(recorded.alpha);
      atStep(recording, steps, () => {
        own?.step(recorded);
        for (const replay of replays) replay.step(recorded);
      });
      onStep?.(steps, shown);
    }
  }
  const unmeasured = measured === 0 && objectives.some(looksAtHeldOut);
  return {
    steps,
    run: { settings: objective, average: run.average, alpha: run.alpha },
    reproduction: own?.result() ?? null,
    objectives: replays.map(({ average, alpha }, i) => ({ settings: objectives[i]!, average, alpha })),
    notes: unmeasured ? ["No held-out loss was recorded, so adjustments by held-out loss are 0 throughout."] : [],
  };
}

/** The run's own objective beside the weights that the run recorded. */
class OwnReplay {
  readonly #replay: Replay;
  #largest = 0;
  #different: number | null = null;

  constructor(objective: ObjectiveSettings, facts: ObjectiveFacts) {
    this.#replay = new Replay(createObjective(objective, facts), facts);
  }

  step(recorded: RecordedStep): void {
    this.#replay.step(recorded);
    const change = Math.abs(compareWeights(this.#replay.alpha, recorded.alpha).change);
    this.#largest = Math.max(this.#largest, change);
    if (change > ROUNDING) this.#different ??= recorded.step;
  }

  result(): Reproduction {
    const verdict = this.#different !== null ? "different" : this.#largest > 0 ? "rounded" : "exact";
    return { verdict, largest: this.#largest, step: this.#different };
  }
}

/** Says in which step of which file the losses cannot be used. */
function atStep(recording: Recording, step: number, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof DoremiError)) throw error;
    const { path: file } = recording;
    throw new DoremiError(error.kind, error.code, `${file}: step ${step}: ${error.message}`, { file, cause: error });
  }
}

function requireSupported(settings: ObjectiveSettings, { of, path, proxy, domains }: Recording): void {
  if (needsReference(settings) && !proxy.reference) {
    throw new DoremiError(
      "usage",
      "needs-reference",
      `objective ${settings.name}: compares with a reference's losses, and ${path} has none, because the run's own ` +
        `objective (${proxy.objective.name}) needs none; choose one over the loss, or record a run of doremi`,
    );
  }
  if (of === "domains" && comparesSequences(settings)) {
    throw new DoremiError(
      "usage",
      "needs-sequences",
      `objective ${settings.name}: compares sequences, and ${path} has figures by domain only; replay the run's ` +
        "trace.arrow, which train.proxy.trace: true keeps, or take over=domains",
    );
  }
  if (settings.name === "group-dro" && settings.adjustments && settings.adjustments.length !== domains.length) {
    throw new DoremiError(
      "usage",
      "bad-setting",
      `objective group-dro: adjustments must be as many as the domains, ${domains.length}, found ${settings.adjustments.length}`,
    );
  }
}

function comparesSequences(settings: ObjectiveSettings): boolean {
  return "over" in settings && settings.over === "sequences";
}

function looksAtHeldOut(settings: ObjectiveSettings): boolean {
  return settings.name === "group-dro" && settings.adjustment === "held-out";
}
