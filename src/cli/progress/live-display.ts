/**
 * The display of a run at a terminal: one live line per running stage at the bottom, and above it what is settled:
 * finished stages, notes. Redraws at most ten times a second, and once a second without news.
 */

import { Meter, type Reading } from "../../pipeline/meter.ts";
import type { StageEvent } from "../../stages/stage.ts";
import { formatDuration } from "../numbers.ts";
import { printable, truncate } from "../table.ts";
import type { Clock, Display, LogStream } from "./contract.ts";
import {
  bar,
  describeCounted,
  describeReading,
  describeTrained,
  describeWarning,
  fractionOf,
  stageName,
} from "./lines.ts";

const REDRAW_MS = 100;
const IDLE_MS = 1000;
/** Stages that say when they are done, in this time or less, need no line that comes and goes. */
const QUIET_MS = 100;
const CLEAR_BELOW = "\x1b[0J";
const NARROWEST = 40;
const DEFAULT_COLUMNS = 80;

export class LiveDisplay implements Display {
  readonly #stream: LogStream;
  readonly #clock: Clock;
  readonly #running = new Map<string, Meter>();
  readonly #timer: NodeJS.Timeout;
  /** lines on the screen that the next drawing replaces */
  #drawn = 0;
  #drawnMs = Number.NEGATIVE_INFINITY;

  constructor(stream: LogStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    this.#timer = setInterval(() => this.redraw(), IDLE_MS).unref();
  }

  event(event: StageEvent): void {
    const now = this.#clock.now();
    const name = stageName(event.stage);
    switch (event.type) {
      case "start":
        this.#running.set(event.stage, new Meter(now));
        this.#throttled(now);
        break;
      case "progress": {
        const meter = this.#running.get(event.stage) ?? new Meter(now);
        this.#running.set(event.stage, meter);
        meter.update(event, now);
        this.#throttled(now);
        break;
      }
      case "note":
        this.#settle(`  ${name}  note: ${printable(event.message)}`);
        break;
      case "warning":
        this.#settle(`! ${name}  ${describeWarning(event)}`);
        break;
      case "counted": {
        const line = describeCounted(event);
        if (line !== undefined) this.#settle(`  ${name}  ${line}`);
        break;
      }
      case "trained":
        this.#settle(`  ${name}  ${describeTrained(event)}`);
        break;
      case "unchanged":
        this.#running.delete(event.stage);
        this.#settle(`= ${name}  unchanged`);
        break;
      case "done": {
        const reading = this.#running.get(event.stage)?.read(now);
        this.#running.delete(event.stage);
        this.#settle(
          `✓ ${name}  ${formatDuration(event.durationMs).padStart(10)}${finished(reading, event.durationMs)}`,
        );
        break;
      }
      default:
        event satisfies never;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stream.write(this.#erase());
  }

  redraw(settled: readonly string[] = []): void {
    const now = this.#clock.now();
    const columns = Math.max(NARROWEST, this.#stream.columns || DEFAULT_COLUMNS);
    const live = [...this.#running]
      .filter(([, meter]) => now - meter.startedMs >= QUIET_MS)
      // A line that reaches the last column may wrap, and then the count of lines is wrong.
      .map(([stage, meter]) => truncate(liveLine(stage, meter, now), columns - 1));
    const text = [...settled, ...live].map((line) => `${line}\n`).join("");
    this.#stream.write(this.#erase() + text);
    this.#drawn = live.length;
    this.#drawnMs = now;
  }

  #throttled(now: number): void {
    if (now - this.#drawnMs >= REDRAW_MS) this.redraw();
  }

  /** Puts a line above the live ones for good. */
  #settle(line: string): void {
    this.redraw([line]);
  }

  #erase(): string {
    const up = this.#drawn === 0 ? "" : `\r\x1b[${this.#drawn}A${CLEAR_BELOW}`;
    this.#drawn = 0;
    return up;
  }
}

function liveLine(stage: string, meter: Meter, now: number): string {
  const reading = meter.read(now);
  if (!reading) return `  ${stageName(stage)}  ${formatDuration(now - meter.startedMs)}`;
  return `  ${stageName(stage)}  ${bar(fractionOf(reading))} ${describeReading(reading)}`;
}

/** What a finished stage keeps of its last reading. */
function finished(reading: Reading | undefined, durationMs: number): string {
  if (!reading || reading.total === 0) return "";
  const rate = reading.worked > 0 && durationMs > 0 ? (reading.worked / durationMs) * 1000 : undefined;
  const { tokensPerSecond: _, ...figures } = reading.figures;
  const done = { ...reading, done: reading.total, rate, secondsLeft: undefined, figures };
  return `  ${describeReading(done).replace(/^\s*100%\s+/, "")}`;
}
