/** What `doremi replay` does with its options: finds and replays the recording, and writes what was asked for. */
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError, withPlace } from "../lib/errors.ts";
import { compareWeights } from "../mixture/replay.ts";
import { type DomainWeights, parseWeightsFile } from "../mixture/weights.ts";
import { findRecording } from "../stages/trace-find.ts";
import { openRecording, type Recording } from "../stages/trace-read.ts";
import { type ReplayResult, type ReplayWeights, replayRecording } from "../stages/trace-replay.ts";
import { plural } from "./numbers.ts";
import { shownPath } from "./paths.ts";
import { objectiveParts, parseObjective } from "./replay-objective.ts";
import { replayLines, reproductionLine } from "./replay-table.ts";
import { WeightsTable } from "./replay-weights.ts";

const LOSSES_HELD =
  "A replay holds the losses fixed: they are those of the proxy that was trained under the run's weights. Under other\n" +
  "weights another proxy would have been trained; what it would have learned, only a run with that objective says.";

export interface ReplayOptions {
  readonly objective: readonly string[];
  /** uniform, reference, or a file of weights */
  readonly start?: string;
  /** file of the weights of the one objective */
  readonly out?: string;
  /** CSV file of the weights over the steps */
  readonly trajectory?: string;
}

/** @returns the JSON line without its command, and lines for a person */
export async function replay(
  path: string,
  options: ReplayOptions,
  signal: AbortSignal,
): Promise<{ readonly result: object; readonly lines: readonly string[] }> {
  const settings = options.objective.map(parseObjective);
  if (options.out !== undefined && settings.length !== 1) {
    throw new DoremiError(
      "usage",
      "out-of-several",
      `--out writes the weights of one objective, found ${settings.length}; give --objective once`,
    );
  }
  const recording = await openRecording(await findRecording(path));
  try {
    const start = options.start === undefined ? undefined : await startWeights(options.start, recording);
    const labels = settings.map((each) => objectiveParts(each).join(","));
    const table = options.trajectory === undefined ? undefined : new WeightsTable(recording, ["the run", ...labels]);
    const result = await replayRecording(recording, settings, {
      signal,
      ...(start && { start: start.weights }),
      ...(table && { onStep: (step, weights) => table.add(step, weights) }),
    });
    const named = (weights: Float64Array) =>
      Object.fromEntries(recording.domains.map((name, i) => [name, weights[i]!]));
    if (options.out !== undefined) {
      const weights = named(result.objectives[0]!.average);
      await writeFileAtomic(options.out, `${JSON.stringify(weights, null, 2)}\n`);
    }
    await table?.write(options.trajectory!);
    return {
      result: resultOf(recording, result, named),
      lines: [...linesOf(recording, result), ...(start?.notes ?? []), ...writtenLines(options)],
    };
  } finally {
    await recording.close();
  }
}

async function startWeights(start: string, { domains, proxy }: Recording): Promise<DomainWeights> {
  if (start === "uniform") return { weights: domains.map(() => 1 / domains.length), notes: [] };
  if (start === "reference") return { weights: [...proxy.facts.reference], notes: [] };
  const text = await readFile(start, "utf8").catch((error: unknown) => {
    throw withPlace(error, { file: start });
  });
  return parseWeightsFile(text, domains, start);
}

function resultOf(
  { path, of, domains }: Recording,
  { steps, run, reproduction, objectives, notes }: ReplayResult,
  named: (weights: Float64Array) => Record<string, number>,
): object {
  const weightsOf = ({ settings, average, alpha }: ReplayWeights) => ({
    objective: settings,
    weights: named(average),
    finalAlpha: named(alpha),
  });
  return {
    file: path,
    of,
    steps,
    run: { ...weightsOf(run), reproduction },
    objectives: objectives.map((objective) => {
      const { distance, domain, change } = compareWeights(objective.average, run.average);
      return { ...weightsOf(objective), moved: distance, largestChange: { domain: domains[domain]!, change } };
    }),
    ...(notes.length > 0 && { notes }),
  };
}

function linesOf(recording: Recording, result: ReplayResult): string[] {
  const { path, domains, of } = recording;
  const what = of === "sequences" ? "a trace of every sequence" : "a trajectory, which has means by domain";
  return [
    `${shownPath(path)}: ${plural(result.steps, "step")}, ${what}`,
    "",
    ...replayLines(result, domains),
    "",
    reproductionLine(result),
    ...(result.objectives.length > 0 ? [LOSSES_HELD] : []),
    ...result.notes,
  ];
}

function writtenLines({ out, trajectory }: ReplayOptions): string[] {
  return [
    ...(out === undefined ? [] : [`Weights: ${shownPath(out)}; a pipeline takes them as resample.weights.`]),
    ...(trajectory === undefined ? [] : [`Weights over the steps: ${shownPath(trajectory)}`]),
  ];
}
