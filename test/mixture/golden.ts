/** Reads the golden vectors of this folder's tests, and compares numbers. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";

export const GOLDEN = new URL("../files/mixture/", import.meta.url);

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, GOLDEN), "utf8")) as T;
}

/** Largest allowed error relative to the larger of |expected| and `floor`. */
export function expectClose(got: ArrayLike<number>, expected: readonly number[], relative: number, floor = 1e-3): void {
  expect(got.length).toBe(expected.length);
  for (const [index, value] of expected.entries()) {
    const error = Math.abs(got[index]! - value) / Math.max(Math.abs(value), floor);
    if (!(error <= relative)) expect.fail(`[${index}]: got ${got[index]}, expected ${value} (relative error ${error})`);
  }
}
