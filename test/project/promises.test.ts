/** The table of promises names tests that there are, and a promise has one. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const rows = readFileSync(join(ROOT, "docs/promises.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| what"));

it("every promise names the tests that hold it, which exist", () => {
  expect(rows.length).toBeGreaterThan(15);
  for (const row of rows) {
    const held = [
      ...row
        .split(" | ")
        .at(-1)!
        .matchAll(/`([^`]+)`/g),
    ].map(([, path]) => path!);
    expect(held, row).not.toEqual([]);
    for (const path of held) expect(statSync(join(ROOT, path)).isFile(), path).toBe(true);
  }
});
