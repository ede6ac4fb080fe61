/** Plain lines without cursor movement, for a file or a CI log that a person will read: progress every ten seconds. */

import { Meter } from "../../pipeline/meter.ts";
import type { StageEvent } from "../../stages/stage.ts";
import { formatDuration } from "../numbers.ts";
import { printable } from "../table.ts";
import type { Clock, Display, LogStream } from "./contract.ts";
import { describeCounted, describeReading, describeTrained, describeWarning, stageName } from "./lines.ts";

const EVERY_MS = 10_000;

export class TextLog implements Display {
  readonly #stream: LogStream;
  readonly #clock: Clock;
  readonly #meters = new Map<string, { readonly meter: Meter; shownMs: number }>();

  constructor(stream: LogStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
  }

  event(event: StageEvent): void {
    const line = this.#describe(event, this.#clock.now());
    if (line !== undefined) this.#stream.write(`${stageName(event.stage)}  ${line}\n`);
  }

  close(): void {}

  /** undefined where the event is not worth a line */
  #describe(event: StageEvent, now: number): string | undefined {
    switch (event.type) {
      case "start":
        // The first line of progress comes when there has been some to speak of.
        this.#meters.set(event.stage, { meter: new Meter(now), shownMs: now });
        return "started";
      case "unchanged":
        return "unchanged";
      case "note":
        return `note: ${printable(event.message)}`;
      case "warning":
        return describeWarning(event);
      case "counted":
        return describeCounted(event);
      case "trained":
        return describeTrained(event);
      case "done":
        return `done in ${formatDuration(event.durationMs)}`;
      case "progress": {
        const entry = this.#meters.get(event.stage) ?? { meter: new Meter(now), shownMs: now };
        this.#meters.set(event.stage, entry);
        entry.meter.update(event, now);
        if (now - entry.shownMs < EVERY_MS) return undefined;
        entry.shownMs = now;
        return describeReading(entry.meter.read(now)!);
      }
      default:
        return event satisfies never;
    }
  }
}
