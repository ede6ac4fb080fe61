/** What SECURITY.md says of limits is what the readers have. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/formats/shard.ts";

const UNITS: Record<string, number> = { MiB: 2 ** 20, GiB: 2 ** 30 };

it("the limits of shards that SECURITY.md names are the ones that hold", () => {
  const text = readFileSync("SECURITY.md", "utf8");
  const rows = [...text.matchAll(/^\| (?:(\d+) (MiB|GiB)|2²⁷) \| .*\((max\w+)\)/gm)];
  const said = Object.fromEntries(
    rows.map(([, number, unit, name]) => [name, unit === undefined ? 2 ** 27 : Number(number) * UNITS[unit]!]),
  );
  const { batchBytes: _, ...limits } = DEFAULT_LIMITS;
  expect(said).toEqual(limits);
});
