/**
 * Where the events of a run go: a live display at a terminal, plain lines, or JSON lines. All three take the same
 * events; `pick` chooses.
 */
import type { Clock, Display, LogFormat, LogStream } from "./contract.ts";
import { JsonLog } from "./json-log.ts";
import { LiveDisplay } from "./live-display.ts";
import { TextLog } from "./text-log.ts";

export const SYSTEM_CLOCK: Clock = { now: () => performance.now(), date: () => new Date() };

/** Text at a terminal, else JSON. */
export function chooseFormat(stream: LogStream): LogFormat {
  return stream.isTTY ? "text" : "json";
}

export function openDisplay(format: LogFormat, stream: LogStream, clock: Clock = SYSTEM_CLOCK): Display {
  if (format === "json") return new JsonLog(stream, clock);
  return stream.isTTY && process.env.TERM !== "dumb" ? new LiveDisplay(stream, clock) : new TextLog(stream, clock);
}
