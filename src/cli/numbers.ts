/** Numbers as a person reads them: thousands separators, sizes, rates, durations. Text only; tables are for table.ts. */

import { scaled } from "../lib/byte-size.ts";

export { formatBytes } from "../lib/byte-size.ts";

/** 1234567 → "1,234,567" */
export function formatInteger(value: number): string {
  // not Intl.NumberFormat: to make one takes as long as to count ten megabytes
  return value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** 0.12345 → "12.35%" */
export function formatShare(value: number): string {
  return `${(value * 100).toFixed(2)}%`;
}

/** Percentage points, with their sign: 1.234 → "+1.23", −0.001 → "0.00" */
export function formatPoints(value: number): string {
  const text = value.toFixed(2);
  return value > 0 && text !== "0.00" ? `+${text}` : text.replace(/^-(0\.00)$/, "$1");
}

/** Words for large counts: 1234567890 → "1.23 billion", 12345 → "12,345". */
export function formatCount(value: number): string {
  if (Math.abs(value) < 1e6) return formatInteger(value);
  const { number, prefix } = scaled(value, ["", "thousand", "million", "billion", "trillion"]);
  return `${number} ${prefix}`;
}

/** 1.2e18 → "1.20e18" */
export function formatFlops(flops: number): string {
  return flops < 1e6 ? formatInteger(flops) : flops.toExponential(2).replace("e+", "e");
}

export type RateUnit = "bytes" | "tokens" | "steps" | "shards" | "tasks";

/** 12.3 MB/s, 4.56 k tokens/s, 1.20 steps/s */
export function formatRate(perSecond: number, unit: RateUnit): string {
  const { number, prefix } = scaled(perSecond);
  return unit === "bytes" ? `${number} ${prefix}B/s` : `${number} ${prefix === "" ? "" : `${prefix} `}${unit}/s`;
}

/** Two units at most: 0.42 s, 12.3 s, 3 min 05 s, 2 h 03 min, 4 d 01 h; from 1,000 days on 2.7 years. */
export function formatDuration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "unknown";
  const seconds = milliseconds / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const [days, hours, minutes, rest] = splitSeconds(Math.round(seconds));
  if (days >= 1000) return formatYears(days);
  if (days > 0) return `${days} d ${twoDigits(hours)} h`;
  if (hours > 0) return `${hours} h ${twoDigits(minutes)} min`;
  return `${minutes} min ${twoDigits(rest)} s`;
}

/** A clock for time left: 0:07, 12:05, 1:02:03, 3 d 04 h. */
export function formatClock(seconds: number): string {
  if (!Number.isFinite(seconds)) return "--:--";
  const [days, hours, minutes, rest] = splitSeconds(Math.ceil(seconds));
  if (days >= 1000) return formatYears(days);
  if (days > 0) return `${days} d ${twoDigits(hours)} h`;
  return hours > 0 ? `${hours}:${twoDigits(minutes)}:${twoDigits(rest)}` : `${minutes}:${twoDigits(rest)}`;
}

/** Four significant digits without an exponent where that stays short. */
export function formatFigure(value: number): string {
  if (Number.isInteger(value)) return formatInteger(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

function formatYears(days: number): string {
  const years = days / 365.25;
  return `${years < 10 ? years.toFixed(1) : formatCount(Math.round(years))} years`;
}

function splitSeconds(seconds: number): [number, number, number, number] {
  return [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** "1 shard", "2 shards" */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${formatInteger(count)} ${count === 1 ? noun : nouns}`;
}
