/** Main models trained on the mixtures: their held-out losses by domain, and what the candidates gain over the baseline. */
import type { ReportData } from "../data/contract.ts";
import type { Chart, ChartView } from "./contract.ts";
import { drawRows } from "./rows.ts";
import { loss } from "./text.ts";

const MIXTURES_LIMIT = 4;

export const evaluationLoss: Chart = {
  id: "evaluation",
  title: "Held-out loss of main models",
  caption: ({ evaluation }) =>
    `Loss on held-out documents of models trained on each mixture, mean of ${evaluation?.seeds === 1 ? "1 seed" : `${evaluation?.seeds} seeds`}${interval(evaluation)}.`,
  draw({ domains, evaluation }, view) {
    if (!evaluation) return null;
    const places = placesOf(evaluation.domains, domains, view);
    const mixtures = evaluation.mixtures.filter(({ sameAs }) => sameAs === null).slice(0, MIXTURES_LIMIT);
    return drawRows(
      view,
      {
        names: places.map((k) => evaluation.domains[k]!),
        measures: mixtures.map(({ name, loss: own }) => ({
          name,
          values: places.map((k) => own[k]?.mean ?? Number.NaN),
          low: places.map((k) => own[k]?.low ?? Number.NaN),
          high: places.map((k) => own[k]?.high ?? Number.NaN),
        })),
        ...{ axis: "loss, nats per token", format: loss, axisFormat: (value: number) => String(value) },
      },
      `Dot plot of the held-out losses of ${mixtures.length} mixtures on ${places.length} domains, with intervals.`,
    );
  },
};

export const evaluationDifference: Chart = {
  id: "difference",
  title: "What a mixture gains",
  caption: ({ evaluation }) =>
    `Difference of the held-out loss from that of ${evaluation?.comparisons[0]?.baseline ?? "the baseline"}: left of 0 is better${interval(evaluation)}.`,
  draw({ domains, evaluation }, view) {
    if (!evaluation || evaluation.comparisons.length === 0) return null;
    const places = placesOf(evaluation.domains, domains, view);
    const comparisons = evaluation.comparisons.slice(0, MIXTURES_LIMIT);
    const at = (own: (typeof comparisons)[number], k: number) =>
      own.domains.find(({ name }) => name === evaluation.domains[k]);
    return drawRows(
      view,
      {
        names: places.map((k) => evaluation.domains[k]!),
        measures: comparisons.map((own) => ({
          name: own.candidate,
          values: places.map((k) => at(own, k)?.mean ?? Number.NaN),
          low: places.map((k) => at(own, k)?.low ?? Number.NaN),
          high: places.map((k) => at(own, k)?.high ?? Number.NaN),
        })),
        ...{ axis: "difference, nats per token", zero: 0 },
        ...{ format: loss, axisFormat: (value: number) => String(Number(value.toPrecision(6))) },
        notes: (row) =>
          comparisons.map((own) => `${own.candidate}: ${at(own, places[row]!)?.verdict ?? "not compared"}`),
      },
      `Dot plot of the differences in held-out loss of ${comparisons.length} mixtures from the baseline on ${places.length} domains.`,
    );
  },
};

function interval(evaluation: ReportData["evaluation"]): string {
  return evaluation ? `; bars are ${Math.round(evaluation.confidence * 100)} % intervals` : "";
}

/** Places among the evaluation's domains, in the order of the view. */
function placesOf(own: readonly string[], domains: readonly string[], { rows }: ChartView): number[] {
  return rows.map((k) => own.indexOf(domains[k]!)).filter((place) => place >= 0);
}
