/** Quantiles of Student's t against SciPy's, whole and broken degrees of freedom. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { studentQuantile } from "../../src/lib/student-t.ts";

const { rows } = JSON.parse(readFileSync(new URL("../files/statistics/student-t.json", import.meta.url), "utf8")) as {
  rows: [p: number, freedom: number, quantile: number][];
};

describe("studentQuantile", () => {
  it.each(rows)("p %d, %d degrees of freedom", (p, freedom, quantile) => {
    // the tail 1 − p loses up to four digits of the sixteen; large ν as many in the gamma functions
    expect(Math.abs(studentQuantile(p, freedom) - quantile)).toBeLessThanOrEqual(
      1e-9 * Math.max(1, Math.abs(quantile)),
    );
  });

  it("refuses what is no probability and no degrees of freedom", () => {
    expect(() => studentQuantile(1, 3)).toThrow(/p must lie between 0 and 1, found 1/);
    expect(() => studentQuantile(0.9, 0)).toThrow(/above 0, found 0/);
  });
});
