/** A run of each objective: its weights are a distribution, the same when it is run again, and those of a replay. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { needsReference } from "../../src/mixture/objective-settings.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { objective } from "../../src/stages/proxy/objective.ts";
import { smallPipeline, smallTraining, temporaryFolder } from "./small.ts";

const OBJECTIVES = [
  "doremi",
  { name: "doremi", preset: "official" },
  "group-dro",
  { name: "group-dro", update: "best-response" },
  "topic-cvar",
  "cvar",
  { name: "chi-square", over: "sequences" },
  "kl",
  "erm",
] as const;

const [first, second] = ["first", "second"] as const;

it("gives sane weights for each objective, twice the same, and trains no reference that none looks at", async () => {
  const folder = temporaryFolder();
  const learned = new Map<string, string>();
  for (const run of [first, second]) {
    const output = join(folder, run);
    for (const settings of OBJECTIVES) {
      const name = JSON.stringify(settings);
      const train = smallTraining({ objective: settings, steps: 8 });
      const { weights, proxy } = await runPipeline(smallPipeline(output, { train }), { until: "proxy" });
      const values = Object.values(weights!);
      expect(values, name).toHaveLength(3);
      for (const value of values) expect(value, name).toBeGreaterThanOrEqual(0);
      expect(Math.abs(values.reduce((sum, value) => sum + value, 0) - 1), name).toBeLessThan(1e-12);
      const trace = readFileSync(join(output, "proxy", proxy!.trace!)).toString("base64");
      if (run === second) expect(trace, name).toBe(learned.get(name)!);
      else learned.set(name, trace);
    }
  }
  expect(new Set(learned.values()).size).toBe(OBJECTIVES.length); // each its own
}, 240_000);

it("needs no reference for an objective that looks at none", async () => {
  const output = join(temporaryFolder(), "out");
  const settings = objective.parse({ name: "kl", losses: "loss" });
  expect(needsReference(settings)).toBe(false);
  const train = smallTraining({ objective: { name: "kl", losses: "loss" }, steps: 8 });
  const { stages } = await runPipeline(smallPipeline(output, { train }), { until: "proxy" });
  expect(stages.map(({ stage }) => stage)).toEqual(["discover", "count", "tokenize", "proxy"]);
  expect(existsSync(join(output, "reference"))).toBe(false);
});
