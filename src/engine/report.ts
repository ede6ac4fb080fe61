/** What is known of an engine before anything runs on it: whether it works on this machine, why, and what would help. */
import { DoremiError } from "../lib/errors.ts";
import type { EngineName, Precision } from "./engine.ts";

export interface EngineReport {
  readonly name: EngineName;
  readonly usable: boolean;
  /** one line: the device, or what is missing */
  readonly why: string;
  /** where it is not usable and something can be done: the command that brings what is missing, or the next thing */
  readonly remedy?: string;
}

/** The failure of an engine that was asked for by name. */
export function unusable({ name, why, remedy }: EngineReport, cause?: unknown): DoremiError {
  return new DoremiError(
    "bad-configuration",
    "engine",
    `engine ${name}: cannot be used here: ${why}; ${remedy ?? "choose another engine"}`,
    cause === undefined ? {} : { cause },
  );
}

/** @throws DoremiError precision, where the engine does not compute in the one that was asked for */
export function refusePrecision(name: EngineName, has: readonly Precision[], wanted: Precision): void {
  if (has.includes(wanted)) return;
  throw new DoremiError(
    "bad-configuration",
    "precision",
    `training: precision must be one that engine ${name} has (${has.join(", ")}), found ${wanted}; ` +
      `set train.precision to ${has.length === 1 ? has[0] : "one of them"}, or train.engine to one that has it`,
  );
}
