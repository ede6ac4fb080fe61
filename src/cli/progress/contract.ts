/** What the displays of progress take and give: types only. */
import type { StageEvent } from "../../stages/stage.ts";

export type LogFormat = "text" | "json";

/** stderr, or what a test puts in its place. */
export interface LogStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Clock {
  /** monotonic, ms */
  now(): number;
  date(): Date;
}

export interface Display {
  event(event: StageEvent): void;
  /** Takes away what is drawn, so that other text can follow. */
  close(): void;
}
