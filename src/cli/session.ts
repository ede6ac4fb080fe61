/**
 * One call of the program: what every command has at hand (display, abort signal, result line) and how it ends, well or
 * not. Commands do the work and return their result; here it becomes a line on stdout and an exit status.
 */
import type { StageEvent } from "../stages/stage.ts";
import { describeFailure, type Failure } from "./failure.ts";
import type { Display, LogFormat, LogStream } from "./progress/contract.ts";
import { chooseFormat, openDisplay, SYSTEM_CLOCK } from "./progress/display.ts";
import { SIGNAL_STATUS, type SignalWatch, watchSignals } from "./signals.ts";

/** Takes the exit status of the command that ran. */
export type SetStatus = (status: number) => void;

/** Options that every command takes. */
export interface CommonOptions {
  readonly logFormat?: LogFormat;
  readonly debug?: boolean;
}

/** The JSON line without `command`; `status` is the exit status where it is not 0. */
export interface CommandResult {
  readonly result: object;
  readonly status?: number;
}

/** Commands that go on where they were stopped. */
const KEEP_STATE = new Set(["run", "count", "train", "evaluate", "resample", "materialize"]);

export class Session {
  readonly command: string;
  readonly format: LogFormat;
  readonly signal: AbortSignal;
  readonly #debug: boolean;
  readonly #stderr: LogStream;
  readonly #signals: SignalWatch;
  #display: Display | undefined;

  /** @param defaultFormat of a command whose text is what it is for; else text at a terminal and JSON elsewhere */
  constructor(command: string, options: CommonOptions, defaultFormat?: LogFormat, stderr: LogStream = process.stderr) {
    this.command = command;
    this.format = options.logFormat ?? defaultFormat ?? chooseFormat(stderr);
    this.#debug = options.debug === true || debugAsked();
    this.#stderr = stderr;
    this.#signals = watchSignals({ onStop: (received, late) => this.#stopping(received, late) });
    this.signal = this.#signals.signal;
  }

  /** For RunOptions.onEvent. */
  readonly onEvent = (event: StageEvent): void => {
    this.#display ??= openDisplay(this.format, this.#stderr);
    this.#display.event(event);
  };

  /** The end of a command: lines for a person, or the same as an event for a log. */
  summarise(lines: readonly string[], event?: object): void {
    this.#closeDisplay();
    if (this.format === "text") this.#stderr.write(`${lines.join("\n")}\n`);
    else if (event) this.#log("summary", event);
  }

  /** Runs the command to its end. @returns the exit status */
  async finish(work: () => Promise<CommandResult>): Promise<number> {
    try {
      const { result, status = 0 } = await work();
      this.#closeDisplay();
      await printResult({ command: this.command, ...result });
      return status;
    } catch (error) {
      const failure = describeFailure(error);
      this.#closeDisplay();
      this.#report(failure);
      await printResult({ command: this.command, error: failure.error });
      const received = this.#signals.received();
      return received !== undefined && failure.kind === "interrupted" ? SIGNAL_STATUS[received] : failure.status;
    } finally {
      this.#signals.release();
    }
  }

  #report(failure: Failure): void {
    if (this.format === "json") {
      this.#log("error", { ...failure.error, ...(this.#debug && { stack: failure.stack }) });
    } else {
      printFailure(this.command, failure, this.#debug, this.#stderr);
    }
  }

  #stopping(received: string, late: boolean): void {
    const [stopping, leaving] = KEEP_STATE.has(this.command)
      ? ["saving the state and stopping", "leaving without saving what is in memory"]
      : ["stopping", "leaving"];
    const message = late
      ? `${received}: ${this.command} did not stop in time; ${leaving}`
      : `${received}: ${stopping}; a second signal leaves at once`;
    if (this.format === "json") {
      this.#log("stopping", { signal: received, late, message });
    } else {
      this.#closeDisplay();
      this.#stderr.write(`${message}\n`);
    }
  }

  #closeDisplay(): void {
    this.#display?.close();
  }

  #log(event: string, fields: object): void {
    this.#stderr.write(`${JSON.stringify({ time: SYSTEM_CLOCK.date().toISOString(), event, ...fields })}\n`);
  }
}

export function debugAsked(): boolean {
  return /^(1|true|yes)$/i.test(process.env.DOREMI_DEBUG ?? "");
}

/** One readable message. */
export function printFailure(
  command: string | null,
  failure: Failure,
  debug: boolean,
  stderr: LogStream = process.stderr,
): void {
  const who = command === null ? "doremi" : `doremi ${command}`;
  stderr.write(`${who}: ${failure.message}\n`);
  if (debug && failure.stack !== undefined) stderr.write(`${failure.stack}\n`);
}

/** The one line on stdout. */
export async function printResult(result: object): Promise<void> {
  await new Promise<void>((resolve) => {
    // A reader that has gone is no fault of ours: the work is done.
    process.stdout.write(`${JSON.stringify(result)}\n`, () => resolve());
  });
}
