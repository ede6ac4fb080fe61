/** A JSON line per event, for log collectors: progress of a stage at most once a second, and always its last. */

import { Meter } from "../../pipeline/meter.ts";
import type { StageEvent } from "../../stages/stage.ts";
import type { Clock, Display, LogStream } from "./contract.ts";

const EVERY_MS = 1000;

export class JsonLog implements Display {
  readonly #stream: LogStream;
  readonly #clock: Clock;
  readonly #meters = new Map<string, { readonly meter: Meter; shownMs: number }>();

  constructor(stream: LogStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
  }

  event(event: StageEvent): void {
    const { type, ...fields } = event;
    if (event.type === "start") this.#meters.delete(event.stage);
    if (event.type === "progress") this.#progress(event);
    else this.write(type, event.type === "done" ? { ...fields, durationMs: Math.round(event.durationMs) } : fields);
  }

  close(): void {}

  write(event: string, fields: object): void {
    this.#stream.write(`${JSON.stringify({ time: this.#clock.date().toISOString(), event, ...fields })}\n`);
  }

  #progress(event: Extract<StageEvent, { type: "progress" }>): void {
    const now = this.#clock.now();
    let entry = this.#meters.get(event.stage);
    if (!entry) {
      entry = { meter: new Meter(now), shownMs: Number.NEGATIVE_INFINITY };
      this.#meters.set(event.stage, entry);
    }
    entry.meter.update(event, now);
    if (now - entry.shownMs < EVERY_MS && event.done < event.total) return;
    entry.shownMs = now;
    const { rate, secondsLeft, figures } = entry.meter.read(now)!;
    const { type: _, figures: __, ...fields } = event;
    this.write("progress", {
      ...figures,
      ...fields,
      ...(rate !== undefined && { perSecond: round(rate) }),
      ...(secondsLeft !== undefined && { secondsLeft: Math.ceil(secondsLeft) }),
    });
  }
}

/** Four significant digits. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
