/** One line of text for each thing that a stage says, shared by the live display and the plain log. */

import type { Reading } from "../../pipeline/meter.ts";
import type { StageEvent } from "../../stages/stage.ts";
import type { TrainingWarning } from "../../trainer/diagnosis-contract.ts";
import {
  formatBytes,
  formatClock,
  formatDuration,
  formatFigure,
  formatInteger,
  formatRate,
  formatShare,
  plural,
} from "../numbers.ts";
import { pad, printable } from "../table.ts";

const BAR_WIDTH = 20;
const NAME_WIDTH = 10;
/** eighths of a cell */
const PARTS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"] as const;

export function stageName(stage: string): string {
  return pad(stage, NAME_WIDTH, "left");
}

/** @param fraction 0..1 */
export function bar(fraction: number, width = BAR_WIDTH): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8);
  const cells = "█".repeat(Math.floor(eighths / 8)) + PARTS[eighths % 8];
  return pad(cells, width, "left");
}

export function fractionOf({ done, total }: Pick<Reading, "done" | "total">): number {
  return total > 0 ? Math.min(1, done / total) : 1;
}

/** What counting had to do and was spared; undefined where it all had to be done. */
export function describeCounted({
  shards,
  kept,
  cached,
}: Extract<StageEvent, { type: "counted" }>): string | undefined {
  if (kept === 0) return undefined;
  const cache = cached === 0 ? "" : ` (${formatInteger(cached)} of them from the cache)`;
  return `${plural(kept, "shard")} counted before and unchanged${cache}, ${formatInteger(shards)} counted now`;
}

/** What goes wrong in a training, and after which step it was found. */
export function describeWarning({ code, step, message }: TrainingWarning): string {
  return `warning: step ${formatInteger(step)}: ${printable(message)} [${code}]`;
}

/** How training went, and whether the engine was kept busy. */
export function describeTrained({ steps, durationMs, dataWait }: Extract<StageEvent, { type: "trained" }>): string {
  const trained = `trained ${plural(steps, "step")}`;
  if (dataWait === null) return `${trained}, all of them before`;
  return `${trained}, now in ${formatDuration(durationMs)}; waited for data ${formatShare(dataWait)} of the time`;
}

/** How far, how fast, how long still, and further figures: the loss first. */
export function describeReading(reading: Reading): string {
  const { done, total, unit, rate, secondsLeft, figures } = reading;
  const amount =
    unit === "bytes"
      ? `${formatBytes(done)} of ${formatBytes(total)}`
      : `${formatInteger(done)}/${formatInteger(total)} ${unit}`;
  const { tokensPerSecond, loss, ...others } = figures;
  return [
    `${String(Math.floor(fractionOf(reading) * 100)).padStart(3)}%`,
    amount,
    ...(rate === undefined ? [] : [formatRate(rate, unit)]),
    ...(tokensPerSecond === undefined ? [] : [formatRate(tokensPerSecond, "tokens")]),
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(3)}`]),
    ...Object.entries(others).map(([name, value]) => `${name} ${formatFigure(value)}`),
    ...(secondsLeft === undefined || done >= total ? [] : [`${formatClock(secondsLeft)} left`]),
  ].join("  ");
}
