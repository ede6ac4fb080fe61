/** What a terminal shows of a run: within its width and height, with the domains that moved most, and no motion of its own. */

import { join } from "node:path";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { sparkline, watchLines } from "../../src/cli/watch-text.ts";
import { watchInTerminal } from "../../src/cli/watching.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import type { LiveState } from "../../src/report/live/state.ts";
import { SeriesSampler } from "../../src/report/series.ts";
import { trajectoryLayout } from "../../src/stages/trajectory.ts";
import { smallPipeline, temporaryFolder } from "../e2e/small.ts";

describe("a sparkline", () => {
  it("goes from the least to the largest, has blanks for what is not there, and is no longer than its values", () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe("▁▂▃▄▅▆▇█");
    expect(sparkline([5, Number.NaN, 1], 8)).toBe("█ ▁");
    expect(sparkline([2, 2], 8)).toBe("▁▁");
    expect(sparkline([0, 9, 0, 9, 0, 9, 0, 0], 4)).toBe("███▁"); // the last of each two
    expect(sparkline([], 4)).toBe("");
  });
});

/** A proxy of K domains over so many steps, of which domain k's average weight moves by k. */
function stateOf(K: number, steps = 30): LiveState {
  const layout = trajectoryLayout(K, true);
  const values = new Float64Array(steps * layout.width);
  for (let step = 0; step < steps; step++) {
    const at = step * layout.width;
    values[at + layout.scalars.loss] = 8 - step / 10;
    values[at + layout.scalars.tokens] = 100;
    for (let k = 0; k < K; k++) {
      values[at + layout.heldOut + k] = Number.NaN;
      for (const [name, first] of Object.entries(layout.vectors!))
        values[at + first + k] = name === "domain_tokens" ? 10 : name === "average" ? 1 / K + (k * step) / 1e5 : 1 / K;
    }
  }
  const sampler = new SeriesSampler(layout, 100);
  sampler.add({ firstStep: 1, steps, values });
  const domains = Array.from({ length: K }, (_, k) => `domain-${k}-语料`);
  return {
    folder: "/run",
    pipeline: "mine",
    state: "running",
    status: null,
    stages: [
      { stage: "count", state: "done", startedAt: null, endedAt: null, progress: null },
      {
        stage: "proxy",
        state: "running",
        startedAt: null,
        endedAt: null,
        progress: { done: steps, total: 90, unit: "steps", perSecond: 2, secondsLeft: 30, figures: {} },
      },
    ] as LiveState["stages"],
    messages: [],
    trainings: [{ stage: "proxy", domains, finished: false, totalSteps: 90, series: sampler.series() }],
  };
}

describe("the screen", () => {
  it.each([
    [40, 12],
    [80, 24],
    [200, 60],
  ])("of %i by %i holds all that it shows, at 8 and at 200 domains", (columns, rows) => {
    for (const K of [8, 200]) {
      const lines = watchLines(stateOf(K), { columns, rows });
      expect(lines.length).toBeLessThan(rows);
      for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
      expect(lines[0]).toBe("mine: running");
      expect(lines.join("\n")).toMatch(/proxy\s+running\s+33%\s+2 steps\/s\s+0:30/);
    }
  });

  it("lists the domains that moved most, and the rest in one line whose shares add up", () => {
    const lines = watchLines(stateOf(200), { columns: 100, rows: 24 });
    const listed = lines.flatMap((line) => /^domain-(\d+)/.exec(line)?.[1] ?? []).map(Number);
    expect(listed.length).toBeGreaterThan(3);
    expect(listed).toEqual(listed.map((_, i) => 199 - i));
    const others = lines.find((line) => line.includes(" others"))!;
    expect(others).toMatch(new RegExp(`^${200 - listed.length} others\\s+${((200 - listed.length) / 2).toFixed(2)}%`));
  });

  it("has no column that no stage fills, as where all is unchanged", () => {
    const { stages, ...rest } = stateOf(3);
    const lines = watchLines(
      { ...rest, state: "unchanged", stages: stages.map((s) => ({ ...s, state: "unchanged", progress: null })) },
      { columns: 100, rows: 24 },
    );
    expect(lines.find((line) => line.startsWith("stage"))).toMatch(/^stage {2}state\s*$/);
  });

  it("is written once where it is no terminal, without control characters, and says how a run ended", async () => {
    const run = join(temporaryFolder(), "out");
    await runPipeline(smallPipeline(run));
    let text = "";
    const signal = new AbortController().signal;
    const state = await watchInTerminal(run, { write: (part) => (text += part) }, { once: false, signal });
    expect(state).toMatchObject({ state: "done", pipeline: "small" });
    expect(state.stages.every((stage) => stage.state === "done")).toBe(true);
    expect(text).toMatch(/^small: done\n/);
    expect(text).toMatch(/proxy\s+[▁-█]+\s+\d\.\d{3}\s+step 12 of 12/);
    expect(text).not.toContain("\x1b");
  });
});
