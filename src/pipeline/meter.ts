/**
 * What progress events mean over time: rate and time left. Pure state, fed with events and times; draws nothing.
 */
import type { StageEvent } from "../stages/stage.ts";

type ProgressEvent = Extract<StageEvent, { type: "progress" }>;

/** The rate is that of the last so many milliseconds: long enough to be steady, short enough to follow a change. */
const WINDOW_MS = 30_000;
/** Below this nothing is said about the future. */
const LEAST_MS = 500;
/** Weight of a new value in the average of the tokens of a step, which differ from step to step. */
const NEW_STEP = 0.1;

export interface Reading {
  readonly done: number;
  readonly total: number;
  readonly unit: ProgressEvent["unit"];
  readonly figures: Readonly<Record<string, number>>;
  /** units per second; undefined while it is too early to say */
  readonly rate: number | undefined;
  readonly secondsLeft: number | undefined;
  /** units done since the first event: what an earlier run had done is not among them */
  readonly worked: number;
}

/** The progress of one stage. */
export class Meter {
  readonly startedMs: number;
  #last: ProgressEvent | undefined;
  #firstDone = 0;
  #tokensPerStep: number | undefined;
  /** oldest first; the first one may already have work done, by an earlier run or taken over */
  #samples: { readonly at: number; readonly done: number }[] = [];

  constructor(startedMs: number) {
    this.startedMs = startedMs;
  }

  update(event: ProgressEvent, nowMs: number): void {
    // A stage may go through several passes: each has its own rate.
    if (this.#last && (event.unit !== this.#last.unit || event.done < this.#last.done)) this.#samples = [];
    if (this.#samples.length === 0) this.#firstDone = event.done;
    this.#last = event;
    const tokens = event.figures?.tokensPerStep;
    if (tokens !== undefined) {
      const before = this.#tokensPerStep ?? tokens;
      this.#tokensPerStep = before + NEW_STEP * (tokens - before);
    }
    this.#samples.push({ at: nowMs, done: event.done });
    while (this.#samples.length > 2 && nowMs - this.#samples[1]!.at >= WINDOW_MS) this.#samples.shift();
  }

  /** undefined before the first progress */
  read(nowMs: number): Reading | undefined {
    const event = this.#last;
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!event || !first || !last) return undefined;
    const { total, unit } = event;
    // Shares of a file are rounded, so their sum may be a byte too many.
    const done = Math.min(event.done, total);
    // Time without news counts too once it is longer than what is usual between two events.
    const usual = (last.at - first.at) / Math.max(1, this.#samples.length - 1);
    const until = nowMs - last.at > 2 * usual ? nowMs : last.at;
    const elapsed = until - first.at;
    const rate =
      elapsed >= LEAST_MS && last.done > first.done ? ((last.done - first.done) / elapsed) * 1000 : undefined;
    const secondsLeft = rate === undefined ? undefined : Math.max(0, total - done) / rate;
    const { tokensPerStep: _, ...others } = event.figures ?? {};
    const hasSpeed = rate !== undefined && this.#tokensPerStep !== undefined;
    // By the same window as the steps, so that the two agree.
    const figures = { ...others, ...(hasSpeed && { tokensPerSecond: rate * this.#tokensPerStep! }) };
    return { done, total, unit, figures, rate, secondsLeft, worked: done - this.#firstDone };
  }
}
