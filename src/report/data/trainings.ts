/** The steps of the trainings for a page: a number of points that all of them together can have. */
import type { LiveTraining } from "../live/state.ts";
import {
  DOMAIN_SERIES,
  type DomainSeries,
  type DomainSeriesName,
  type Extremes,
  type TrainingSeries,
} from "../series.ts";
import type { ReportSeries, ReportTraining } from "./contract.ts";
import type { StageOutputs } from "./outputs.ts";
import { packNumbers } from "./pack.ts";

/** Numbers of all series together: 1.1 MB of page. */
const NUMBERS_LIMIT = 200_000;
const MOST_POINTS = 1200;
/** With fewer points a line says nothing, and the extremes have to do. */
const FEWEST_POINTS = 24;

export function reportTrainings(
  trainings: readonly LiveTraining[],
  outputs: StageOutputs,
  domains: readonly string[],
): ReportTraining[] {
  const width = 1 + DOMAIN_SERIES.length * domains.length;
  const learning = trainings.filter(({ series }) => series.domains !== null).length;
  const withPoints = Math.min(learning, Math.max(1, Math.floor(NUMBERS_LIMIT / (FEWEST_POINTS * width))));
  const points = Math.min(MOST_POINTS, Math.max(6, Math.floor(NUMBERS_LIMIT / (Math.max(1, withPoints) * width))));
  let left = learning;
  return trainings.map((training): ReportTraining => {
    const { stage, finished, totalSteps, series } = training;
    // The last ones keep their points: their weights count.
    const kept = series.domains === null || left-- <= withPoints;
    const order = domains.map((name) => training.domains.indexOf(name));
    const thin = thinner(series, points);
    const seriesOf = (name: DomainSeriesName, own: readonly DomainSeries[]): ReportSeries[] =>
      order.map((k) => {
        const entry = own[k];
        return {
          points:
            kept && entry ? packNumbers(isWeight(name) ? thin.values(entry.points) : thin.means(entry.points)) : null,
          extremes: plainExtremes(entry?.extremes),
        };
      });
    const { domains: own } = series;
    const shown = own && DOMAIN_SERIES.filter((name) => name !== "reference" || hasReference(own.reference));
    return {
      stage,
      kind: kindOf(stage),
      finished,
      totalSteps,
      steps: series.steps,
      stepsPerPoint: series.stepsPerPoint * thin.every,
      step: packNumbers(thin.values(series.step)),
      loss: packNumbers(thin.means(series.loss)),
      domains: own && Object.fromEntries(shown!.map((name) => [name, seriesOf(name, own[name])])),
      heldOut: {
        step: [...series.heldOut.step],
        loss: order.map((k) =>
          packNumbers(series.heldOut.loss[k] ?? new Float64Array(series.heldOut.step.length).fill(Number.NaN)),
        ),
      },
      evaluation: evaluationOf(stage, outputs),
    };
  });
}

function kindOf(stage: string): ReportTraining["kind"] {
  return stage.startsWith("proxy") ? "proxy" : stage.startsWith("reference") ? "reference" : "main";
}

function evaluationOf(stage: string, { references, proxies, mains }: StageOutputs): readonly (number | null)[] | null {
  return (references.get(stage) ?? proxies.get(stage) ?? mains.get(stage))?.evaluation.loss ?? null;
}

/** Weights are those of a step; losses are means. */
function isWeight(name: DomainSeriesName): boolean {
  return name === "alpha" || name === "average";
}

/** An objective that has no reference compares with nothing. */
function hasReference(reference: readonly DomainSeries[]): boolean {
  return reference.some(({ extremes }) => Math.abs(extremes.max) > 1e-9);
}

function plainExtremes(extremes: Extremes | undefined): ReportSeries["extremes"] {
  const plain = (value: number | undefined) =>
    value === undefined || Number.isNaN(value) ? null : Number(value.toPrecision(7));
  return {
    min: plain(extremes?.min),
    minStep: plain(extremes?.minStep),
    max: plain(extremes?.max),
    maxStep: plain(extremes?.maxStep),
    last: plain(extremes?.last),
    lastStep: plain(extremes?.lastStep),
  };
}

/** Every n-th point, counted so that the last one is kept. */
function thinner({ step }: TrainingSeries, points: number) {
  const every = Math.max(1, Math.ceil(step.length / points));
  const ends = Array.from({ length: Math.ceil(step.length / every) }, (_, i) => Math.min(step.length, (i + 1) * every));
  return {
    every,
    values: (values: Float64Array) => ends.map((end) => values[end - 1]!),
    means: (values: Float64Array) =>
      ends.map((end, i) => {
        const stretch = [...values.subarray(i * every, end)].filter((value) => !Number.isNaN(value));
        return stretch.reduce((sum, value) => sum + value, 0) / stretch.length;
      }),
  };
}
