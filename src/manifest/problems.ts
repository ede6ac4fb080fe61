/** What verification finds, as plain data: a bounded list that goes on counting. */
import type { ErrorPlace } from "../lib/errors.ts";

export interface VerifyProblem extends ErrorPlace {
  /** stable, kebab-case: `size`, `sha256`, `overlap`, … */
  readonly code: string;
  readonly message: string;
  readonly domain?: string;
}

/** A manifest of a million wrong rows should not give a list of a million problems. */
const SHOWN = 100;

export class ProblemList {
  readonly shown: VerifyProblem[] = [];
  total = 0;

  add(code: string, message: string, place: Omit<VerifyProblem, "code" | "message"> = {}): void {
    this.total += 1;
    if (this.shown.length < SHOWN) this.shown.push({ code, message, ...place });
  }

  /** Adds a problem unless the two are the same. */
  expectSame(
    code: string,
    what: string,
    claimed: unknown,
    found: unknown,
    place: Omit<VerifyProblem, "code" | "message"> = {},
  ): void {
    if (claimed !== found) this.add(code, `${what}: the manifest says ${claimed}, it is ${found}`, place);
  }

  /** As expectSame for quotients, which another writer may have rounded differently in the last digits. */
  expectClose(
    code: string,
    what: string,
    claimed: number,
    found: number,
    place: Omit<VerifyProblem, "code" | "message"> = {},
  ): void {
    const close = Math.abs(claimed - found) <= 1e-12 * Math.max(1, Math.abs(claimed), Math.abs(found));
    if (!close) this.add(code, `${what}: the manifest says ${claimed}, it is ${found}`, place);
  }
}
