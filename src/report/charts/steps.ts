/** What a training did over its steps: losses, excess losses and weights. */
import type { ReportData, ReportTraining } from "../data/contract.ts";
import { unpackNumbers } from "../data/pack.ts";
import type { Chart, ChartView } from "./contract.ts";
import { drawLines, type Line } from "./lines.ts";
import { axisPercent, loss, percent } from "./text.ts";
import { domainPlace, lineStyle } from "./theme.ts";

/** Models whose losses are drawn together. */
const MODELS_LIMIT = 8;

export const trainingLoss: Chart = {
  id: "loss",
  title: "Training loss",
  caption: ({ trainings }) => {
    const most = Math.max(1, ...trainings.map(stepsPerMean));
    return `Mean cross-entropy of a batch in nats per token, of each model${most > 1 ? `, a point being the mean of up to ${most} steps` : ""}.`;
  },
  draw({ trainings }, view) {
    const shown = trainings.slice(-MODELS_LIMIT);
    if (shown.length === 0) return null;
    const lines = shown.map(
      (training, i): Line => ({
        name: training.stage,
        style: lineStyle(view.theme, i),
        points: smooth(points(training, training.loss)),
      }),
    );
    return drawLines(
      view,
      { ...LOSS, lines },
      `Line chart of the training loss of ${shown.map(({ stage }) => stage).join(", ")}.`,
    );
  },
};

const LOSS = {
  xName: "step",
  yName: "loss, nats per token",
  format: loss,
  axisFormat: (value: number) => String(value),
};

/** The proxy whose steps are drawn: the last one that has some. */
export function shownProxy({ trainings }: Pick<ReportData, "trainings">): ReportTraining | undefined {
  return trainings.findLast(({ domains }) => domains?.alpha?.some(({ points: packed }) => packed !== null));
}

export const domainLoss: Chart = {
  id: "domain-loss",
  title: "Loss by domain",
  caption: (data) =>
    `Loss of ${shownProxy(data)?.stage ?? "the proxy"} on each domain's tokens, and below it, faint, of the reference on the same tokens${meanOf(shownProxy(data))}.`,
  draw(data, view) {
    const proxy = shownProxy(data);
    if (!proxy) return null;
    const lines = [
      ...linesOf(data, view, proxy, "loss", (name) => name),
      ...linesOf(data, view, proxy, "reference", (name) => `${name} (reference)`).map(faint),
    ];
    if (lines.length === 0) return null;
    return drawLines(
      view,
      { ...LOSS, lines },
      `Line chart of the loss of proxy and reference on ${view.lines.length} domains.`,
    );
  },
};

export const excess: Chart = {
  id: "excess",
  title: "Excess loss",
  caption: (data) =>
    `What ${shownProxy(data)?.stage ?? "the proxy"} loses more than the reference, by domain: the weights follow it${meanOf(shownProxy(data))}.`,
  draw(data, view) {
    const proxy = shownProxy(data);
    const lines = proxy ? linesOf(data, view, proxy, "excess", (name) => name) : [];
    if (lines.length === 0) return null;
    return drawLines(
      view,
      { ...LOSS, lines, yName: "excess loss, nats per token", fromZero: true },
      `Line chart of the excess loss of ${lines.length} domains over the steps of the proxy.`,
    );
  },
};

export const alpha: Chart = {
  id: "alpha",
  title: "Weights while learning",
  caption: (data) =>
    `Domain weights of each step of ${shownProxy(data)?.stage ?? "the proxy"} (faint) and their average so far, whose end is the result.`,
  draw(data, view) {
    const proxy = shownProxy(data);
    if (!proxy) return null;
    const lines = [
      ...linesOf(data, view, proxy, "average", (name) => name),
      ...linesOf(data, view, proxy, "alpha", (name) => `${name} (this step)`).map(faint),
    ];
    if (lines.length === 0) return null;
    return drawLines(
      view,
      { lines, xName: "step", yName: "domain weight", fromZero: true, format: percent, axisFormat: axisPercent },
      `Line chart of the weights of ${view.lines.length} domains over the steps of the proxy.`,
    );
  },
};

export const heldOut: Chart = {
  id: "held-out",
  title: "Held-out loss",
  caption: () => "Mean over the domains of the loss on held-out text, looked at on the way.",
  draw({ trainings, domains }, view) {
    const lines = trainings.slice(-MODELS_LIMIT).flatMap((training, i): Line[] => {
      const { step, loss: packed } = training.heldOut;
      if (step.length < 2) return [];
      const columns = packed.map(unpackNumbers);
      const mean = step.map((_, look) => {
        const present = columns.map((column) => column[look]!).filter((value) => !Number.isNaN(value));
        return present.reduce((sum, value) => sum + value, 0) / present.length;
      });
      return [
        {
          name: training.stage,
          style: lineStyle(view.theme, i),
          points: step.map((at, look) => [at, mean[look]!] as const),
        },
      ];
    });
    if (lines.length === 0) return null;
    return drawLines(
      view,
      { ...LOSS, lines },
      `Line chart of the held-out loss, mean over ${domains.length} domains, of ${lines.length} models.`,
    );
  },
};

function meanOf(training: ReportTraining | undefined): string {
  const steps = training ? stepsPerMean(training) : 1;
  return steps > 1 ? `; a point is the mean over ${steps} steps` : "";
}

function stepsPerMean({ stepsPerPoint, step }: ReportTraining): number {
  return stepsPerPoint * Math.ceil(unpackNumbers(step).length / LOSS_POINTS);
}

function linesOf(
  { domains }: ReportData,
  { lines, theme }: ChartView,
  training: ReportTraining,
  name: "loss" | "reference" | "excess" | "alpha" | "average",
  label: (domain: string) => string,
): Line[] {
  const series = training.domains?.[name];
  if (!series) return [];
  return lines.flatMap((k, i) => {
    const packed = series[k]?.points;
    if (!packed) return [];
    const own = points(training, packed);
    return [
      {
        name: label(domains[k]!),
        style: lineStyle(theme, domainPlace(theme, domains.length, k, i)),
        points: name === "alpha" ? withExtremes(own, series[k]!.extremes) : name === "average" ? own : smooth(own),
      },
    ];
  });
}

/** Losses jump from step to step, and a line of so many points is read more easily than one of all. */
const LOSS_POINTS = 100;

/** Means of as many neighbouring points as it takes. */
function smooth(own: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const every = Math.ceil(own.length / LOSS_POINTS);
  return Array.from({ length: Math.ceil(own.length / Math.max(1, every)) }, (_, i) => {
    const stretch = own.slice(i * every, (i + 1) * every);
    const present = stretch.filter(([, value]) => !Number.isNaN(value));
    return [stretch.at(-1)![0], present.reduce((sum, [, value]) => sum + value, 0) / present.length] as const;
  });
}

function points(training: ReportTraining, packed: string): (readonly [number, number])[] {
  const [steps, values] = [unpackNumbers(training.step), unpackNumbers(packed)];
  return Array.from(steps, (step, i) => [step, values[i]!] as const);
}

/** The smallest and the largest value are in the picture however few steps are. */
function withExtremes(
  own: readonly (readonly [number, number])[],
  {
    min,
    minStep,
    max,
    maxStep,
  }: {
    readonly min: number | null;
    readonly minStep: number | null;
    readonly max: number | null;
    readonly maxStep: number | null;
  },
): (readonly [number, number])[] {
  const more: (readonly [number, number])[] = [];
  if (min !== null && minStep !== null && !own.some(([step]) => step === minStep)) more.push([minStep, min]);
  if (max !== null && maxStep !== null && maxStep !== minStep && !own.some(([step]) => step === maxStep))
    more.push([maxStep, max]);
  return more.length === 0 ? [...own] : [...own, ...more].sort(([a], [b]) => a - b);
}

/** Beside the line that is meant. */
function faint(line: Line): Line {
  return { ...line, faint: true, width: 1.25 };
}
