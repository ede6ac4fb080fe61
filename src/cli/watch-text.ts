/** A run at one moment as lines for a terminal: stages with rate and time left, losses and weights as sparklines. Pure. */
import stringWidth from "string-width";
import type { LiveState, LiveTraining } from "../report/live/state.ts";
import { formatClock, formatInteger, formatRate, formatShare, type RateUnit } from "./numbers.ts";
import { formatTable, printable, truncate } from "./table.ts";

export interface Screen {
  readonly columns: number;
  readonly rows: number;
}

/** Screens are at least that large, whatever they say. */
const NARROWEST = 40;
const LOWEST = 12;
const WIDEST_SPARKLINE = 40;
const SHOWN_MESSAGES = 3;
/** Fewer domains say nothing. */
const FEWEST_DOMAINS = 3;

/** No more lines than the screen has, and none wider than it. */
export function watchLines(state: LiveState, { columns, rows }: Screen): string[] {
  const width = Math.max(NARROWEST, columns);
  const height = Math.max(LOWEST, rows) - 1;
  const head = [`${printable(state.pipeline ?? "a run")}: ${STATES[state.state]}`, "", ...stageLines(state)];
  const messages = messageLines(state);
  const losses = lossLines(state.trainings, width);
  const room = height - head.length - losses.length - messages.length;
  const lines = [...head, ...losses, ...domainLines(state.trainings, width, room), ...messages];
  return lines.slice(0, height).map((line) => truncate(line, width));
}

const STATES: Readonly<Record<LiveState["state"], string>> = {
  waiting: "has not begun",
  running: "running",
  gone: "ended without a word: its process is gone",
  done: "done",
  unchanged: "done, and nothing to do",
  failed: "failed",
  interrupted: "interrupted, its state saved",
};

function stageLines({ stages }: LiveState): string[] {
  if (stages.length === 0) return ["no stage has begun"];
  const columns = [
    { header: "stage", align: "left" as const },
    { header: "state", align: "left" as const },
    { header: "done" },
    { header: "rate" },
    { header: "left" },
  ];
  const rows = stages.map(({ stage, state, progress }) => {
    const isRunning = state === "running";
    return [
      stage,
      state,
      progress && progress.total > 0 ? `${Math.floor((100 * progress.done) / progress.total)}%` : "",
      isRunning && progress?.perSecond ? formatRate(progress.perSecond, progress.unit as RateUnit) : "",
      isRunning && progress?.secondsLeft != null ? formatClock(progress.secondsLeft) : "",
    ];
  });
  const filled = columns.flatMap((_, column) => (rows.some((row) => row[column] !== "") ? [column] : []));
  return formatTable(
    filled.map((column) => columns[column]!),
    rows.map((row) => filled.map((column) => row[column]!)),
  );
}

function lossLines(trainings: readonly LiveTraining[], width: number): string[] {
  if (trainings.length === 0) return [];
  const rows = trainings.slice(-4).map(({ stage, series, totalSteps }) => {
    const steps = `step ${formatInteger(series.steps)}${totalSteps === null ? "" : ` of ${formatInteger(totalSteps)}`}`;
    return { stage, steps, loss: series.loss, last: series.loss.at(-1) ?? Number.NaN };
  });
  const taken = Math.max(...rows.map(({ stage, steps }) => stringWidth(stage) + stringWidth(steps))) + 20;
  const spark = Math.min(WIDEST_SPARKLINE, Math.max(8, width - taken));
  return [
    "",
    ...formatTable(
      [
        { header: "training", align: "left" },
        { header: "loss", align: "left" },
        { header: "now" },
        { header: "", align: "left" },
      ],
      rows.map(({ stage, steps, loss, last }) => [stage, sparkline(loss, spark), last.toFixed(3), steps]),
    ),
  ];
}

/**
 * Weights of the proxy that trained last, of its last step and averaged, which is the result: the domains that have moved
 * most, as many as there is room for.
 */
function domainLines(trainings: readonly LiveTraining[], width: number, room: number): string[] {
  const proxy = trainings.findLast(({ series }) => series.domains !== null);
  const shown = room - 5;
  if (!proxy || shown < FEWEST_DOMAINS) return [];
  const { alpha, average, excess } = proxy.series.domains!;
  const moved = (k: number) => {
    const { points, extremes } = average[k]!;
    return Math.abs(extremes.last - (points[0] ?? Number.NaN));
  };
  const order = [...proxy.domains.keys()].sort((a, b) => moved(b) - moved(a) || a - b);
  const listed = order.length <= shown ? order : order.slice(0, shown - 1);
  const rest = order.slice(listed.length);
  const names = Math.min(24, Math.max(...listed.map((k) => stringWidth(printable(proxy.domains[k]!)))));
  const spark = Math.min(WIDEST_SPARKLINE, width - names - 38);
  const row = (k: number) => [
    truncate(printable(proxy.domains[k]!), names),
    ...(spark >= 8 ? [sparkline(average[k]!.points, spark)] : []),
    formatShare(alpha[k]!.extremes.last),
    formatShare(average[k]!.extremes.last),
    excess[k]!.extremes.last.toFixed(3),
  ];
  const sum = (series: typeof average) => rest.reduce((total, k) => total + series[k]!.extremes.last, 0);
  const others = [
    `${rest.length} others`,
    ...(spark >= 8 ? [""] : []),
    formatShare(sum(alpha)),
    formatShare(sum(average)),
    "",
  ];
  return [
    "",
    ...formatTable(
      [
        { header: `domain, ${proxy.stage}`, align: "left" },
        ...(spark >= 8 ? [{ header: "average weight", align: "left" as const }] : []),
        { header: "now" },
        { header: "result" },
        { header: "excess" },
      ],
      [...listed.map(row), ...(rest.length > 0 ? [others] : [])],
    ),
  ];
}

function messageLines({ messages, status }: LiveState): string[] {
  const last = messages.slice(-SHOWN_MESSAGES).map(({ kind, stage, message }) => {
    return `${kind === "warning" ? "!" : " "} ${stage}: ${printable(message)}`;
  });
  const failure = status?.error ? [`✗ ${printable(status.error.message)}`] : [];
  const all = [...last, ...failure];
  return all.length === 0 ? [] : ["", ...all];
}

const BLOCKS = "▁▂▃▄▅▆▇█";

/** The last value of each of so many stretches, between the least and the largest; a blank where there is none. */
export function sparkline(values: ArrayLike<number>, width: number): string {
  const cells = Math.min(width, values.length);
  const picked = Array.from({ length: cells }, (_, i) => values[Math.ceil(((i + 1) * values.length) / cells) - 1]!);
  const known = picked.filter(Number.isFinite);
  const [least, largest] = [Math.min(...known), Math.max(...known)];
  return picked
    .map((value) => {
      if (!Number.isFinite(value)) return " ";
      const height = largest > least ? (value - least) / (largest - least) : 0;
      return BLOCKS[Math.min(BLOCKS.length - 1, Math.floor(height * BLOCKS.length))]!;
    })
    .join("");
}
