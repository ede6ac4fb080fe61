/** What another process sees of a run: while it goes on, when it was stopped, when it goes on again, and in the end. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { describe, expect, it } from "vitest";
import { runPipeline } from "../../../src/pipeline/run.ts";
import { type RunStatus, statusPath } from "../../../src/pipeline/status.ts";
import { RunFollower } from "../../../src/report/live/follow.ts";
import type { LiveState } from "../../../src/report/live/state.ts";
import { smallPipeline, smallTraining, temporaryFolder } from "../../e2e/small.ts";

const STEPS = 40;

const pipelineOf = (output: string) =>
  smallPipeline(output, {
    train: { ...smallTraining(), reference: { steps: STEPS }, proxy: { steps: STEPS } },
    cache: false,
  });

const training = (state: LiveState, stage: string) => state.trainings.find((entry) => entry.stage === stage);

/** Path, size and time of every file: what a reader must not change. */
const files = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return `${path} ${size} ${mtimeMs}`;
    })
    .sort();

describe("a run seen from its folder", () => {
  it("is known while it goes on, after a stop, and when it is done, and is not touched", async () => {
    const output = join(temporaryFolder(), "run");
    const follower = new RunFollower(output);
    expect(await follower.read()).toMatchObject({ state: "waiting", status: null, stages: [], trainings: [] });

    const stop = new AbortController();
    let seen: Promise<LiveState> | undefined;
    const stopped = runPipeline(pipelineOf(output), {
      signal: stop.signal,
      onEvent(event) {
        if (event.type !== "progress" || event.stage !== "proxy" || event.done < 10 || seen) return;
        seen = follower.read();
        void seen.then(() => stop.abort());
      },
    });
    await expect(stopped).rejects.toMatchObject({ kind: "interrupted" });
    const during = await seen!;
    expect(during).toMatchObject({ state: "running", pipeline: "small", folder: output });
    expect(training(during, "reference")).toMatchObject({
      finished: true,
      totalSteps: STEPS,
      series: { steps: STEPS },
    });
    const proxy = training(during, "proxy")!;
    expect(proxy.finished).toBe(false);
    expect(proxy.series.steps).toBeGreaterThanOrEqual(10);
    for (const k of proxy.domains.keys()) {
      const sum = proxy.domains.reduce((total, _, i) => total + proxy.series.domains!.alpha[i]!.points.at(-1)!, 0);
      expect(sum).toBeCloseTo(1, 12);
      expect(proxy.series.domains!.alpha[k]!.points.length).toBe(proxy.series.steps);
    }

    const interrupted = await follower.read();
    expect(interrupted.state).toBe("interrupted");
    expect(interrupted.stages.map(({ stage, state }) => `${stage} ${state}`)).toEqual([
      ...["discover done", "count done", "tokenize done", "reference done", "proxy stopped", "resample waiting"],
    ]);
    expect(interrupted.stages[4]!.progress).toMatchObject({ total: STEPS, unit: "steps" });

    await runPipeline(pipelineOf(output));
    const before = files(output);
    const done = await follower.read();
    expect(files(output)).toEqual(before);
    expect(done.state).toBe("done");
    expect(done.status!.settings).toMatchObject({ name: "small", train: { batchSize: 4 } });
    expect(done.stages.map(({ stage, state }) => `${stage} ${state}`)).toEqual([
      ...["discover unchanged", "count unchanged", "tokenize unchanged", "reference unchanged"],
      ...["proxy done", "resample done"],
    ]);
    // The work was done by the first run, and its times are still known.
    const count = (state: LiveState) => state.stages.find(({ stage }) => stage === "count")!;
    expect(count(done).endedAt).toBe(count(interrupted).endedAt);
    expect(count(done).endedAt).not.toBeNull();

    const table = arrow.tableFromIPC(readFileSync(join(output, "proxy/trajectory.arrow")));
    const { series, domains } = training(done, "proxy")!;
    const names = JSON.parse(table.schema.metadata.get("doremi.domains")!) as string[];
    expect(domains).toEqual(names);
    for (const name of ["alpha", "average", "excess"] as const) {
      const column = [...table.getChild(name)!].map((row) => [...(row as Iterable<number>)]);
      for (const k of domains.keys()) {
        const expected = column.map((row) => row[k]!);
        const tokens = [...table.getChild("domain_tokens")!].map((row) => [...(row as Iterable<number>)][k]!);
        const present =
          name === "excess" ? expected.map((value, i) => (tokens[i] === 0 ? Number.NaN : value)) : expected;
        const { points } = series.domains![name][k]!;
        expect(points.length).toBe(STEPS);
        for (const [i, value] of points.entries()) {
          if (Number.isNaN(present[i])) expect(value).toBeNaN();
          else expect(value).toBeCloseTo(present[i]!, 12);
        }
      }
    }
    await runPipeline(pipelineOf(output));
    expect((await follower.read()).state).toBe("unchanged");
  });

  it("is gone when its process ended without a word", async () => {
    const output = join(temporaryFolder(), "run");
    await runPipeline(pipelineOf(output), { until: "count" });
    const status = JSON.parse(readFileSync(statusPath(output), "utf8")) as RunStatus;
    const stages = status.stages.map((entry) => ({
      ...entry,
      state: entry.stage === "count" ? "running" : entry.state,
    }));
    const own = { ...status, state: "running", endedAt: null, stages };
    writeFileSync(statusPath(output), JSON.stringify(own));
    expect((await new RunFollower(output).read()).state).toBe("running");
    // The number of this process, used before by another one.
    writeFileSync(statusPath(output), JSON.stringify({ ...own, process: { ...own.process, started: "1" } }));
    const gone = await new RunFollower(output).read();
    expect(gone.state).toBe("gone");
    expect(gone.stages.find(({ stage }) => stage === "count")?.state).toBe("stopped");
    const elsewhere = { ...own.process, system: "another host" };
    writeFileSync(
      statusPath(output),
      JSON.stringify({ ...own, process: elsewhere, updatedAt: "2020-01-01T00:00:00Z" }),
    );
    expect((await new RunFollower(output).read()).state).toBe("gone");
    writeFileSync(
      statusPath(output),
      JSON.stringify({ ...own, process: elsewhere, updatedAt: new Date().toISOString() }),
    );
    expect((await new RunFollower(output).read()).state).toBe("running");
    writeFileSync(statusPath(output), "{ half of a");
    expect(await new RunFollower(output).read()).toMatchObject({ state: "done", status: null, pipeline: "small" });
  });

  it("says why a run failed", async () => {
    const output = join(temporaryFolder(), "run");
    const pipeline = smallPipeline(output, {
      resample: { budgetTokens: 60_000_000, maxEpochs: 1, onCap: "fail" },
      train: smallTraining(),
    });
    await expect(runPipeline(pipeline)).rejects.toMatchObject({ name: "DoremiError" });
    const state = await new RunFollower(output).read();
    expect(state.state).toBe("failed");
    expect(state.status!.error).toMatchObject({
      code: "budget-exceeds-caps",
      message: expect.stringContaining("60000000"),
    });
  });
});
