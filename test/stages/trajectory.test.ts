/** The record of a training: whole whatever the system writes at once, and cut back to where a run goes on. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sequenceStatistics } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import type { RecordedProxy } from "../../src/stages/trace-metadata.ts";
import { TrajectoryLog } from "../../src/stages/trajectory.ts";
import type { StepRecord } from "../../src/trainer/contract.ts";

/** Bytes that a write takes at most, as a file system may. */
const atOnce = vi.hoisted(() => ({ bytes: Number.POSITIVE_INFINITY }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return {
    ...fs,
    writeSync: (fd: number, bytes: Uint8Array, offset = 0, length = bytes.length - offset) =>
      fs.writeSync(fd, bytes, offset, Math.min(length, atOnce.bytes)),
  };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-trajectory-"));
});
afterEach(() => {
  atOnce.bytes = Number.POSITIVE_INFINITY;
  rmSync(folder, { recursive: true, force: true });
});

const record = (step: number): StepRecord => ({
  step,
  loss: 10 / step,
  learningRate: step / 8,
  gradientNorm: step * 3,
  tokens: 64,
  durationMs: 1,
  waitMs: 0,
  ...(step === 2 && { heldOut: Float64Array.of(Number.NaN, 3.5) }),
  proxy: {
    sequences: sequenceStatistics({ loss: [], mask: [], domains: [] }),
    domains: {
      tokens: Float64Array.of(64, step === 3 ? 0 : 32),
      loss: Float64Array.of(step / 2, step === 3 ? 0 : step / 4),
      excess: Float64Array.of(-step, step === 3 ? 0 : step),
      clipped: Float64Array.of(step, step === 3 ? 0 : step + 0.25),
    },
    alpha: Float64Array.of(0.5, 0.5),
    average: Float64Array.of(0.25, 0.75),
  },
});

const PROXY: RecordedProxy = {
  objective: DOREMI_PRESETS.paper,
  facts: {
    domains: 2,
    start: [0.5, 0.5],
    sampling: [0.5, 0.5],
    reference: [0.25, 0.75],
    sizes: [100, 300],
    sequenceLength: 8,
    vocabularySize: 50,
  },
  seed: 1,
  reference: true,
};

async function finished(log: TrajectoryLog): Promise<arrow.Table> {
  const { readFileSync } = await import("node:fs");
  await log.write(join(folder, "trajectory.arrow"));
  log.drop();
  return arrow.tableFromIPC(readFileSync(join(folder, "trajectory.arrow")));
}

describe("the record of a training", () => {
  it("is whole where the system writes a few bytes at a time", async () => {
    atOnce.bytes = 7;
    const path = join(folder, "trajectory.log");
    const log = new TrajectoryLog(path, ["a", "b"], PROXY);
    for (const step of [1, 2, 3]) log.add(record(step));
    expect(statSync(path).size).toBe(3 * (4 + 7 * 2) * 8);
    expect(log.tokens()).toBe(192);
    const table = await finished(log);
    expect([...table.getChild("loss")!]).toEqual([10, 5, 10 / 3]);
    const lists = (name: string) => [...table.getChild(name)!].map((row) => row && [...row]);
    expect(lists("excess")).toEqual([
      [1, 1.25],
      [2, 2.25],
      [3, 0],
    ]);
    expect(lists("signed_excess")).toEqual([
      [-1, 1],
      [-2, 2],
      [-3, 0],
    ]);
    // A domain that is not in the batch has no loss; one that was not measured has no held-out loss.
    expect(lists("domain_loss")).toEqual([
      [0.5, 0.25],
      [1, 0.5],
      [1.5, Number.NaN],
    ]);
    expect(lists("held_out_loss")).toEqual([null, [Number.NaN, 3.5], null]);
  });

  it("drops the steps that are done again, and refuses a gap", async () => {
    const path = join(folder, "trajectory.log");
    const first = new TrajectoryLog(path, ["a", "b"], PROXY);
    for (const step of [1, 2, 3]) first.add(record(step));
    first.close();
    const log = new TrajectoryLog(path, ["a", "b"], PROXY);
    expect(() => log.add(record(5))).toThrow(expect.objectContaining({ code: "trajectory-gap" }));
    log.add({ ...record(2), loss: 7 });
    expect([...(await finished(log)).getChild("loss")!]).toEqual([10, 7]);
  });

  it("of a training that learns no weights has held-out losses alone by domain", async () => {
    const log = new TrajectoryLog(join(folder, "trajectory.log"), ["a", "b"], null);
    const { proxy: _, ...plain } = record(1);
    log.add({ ...plain, heldOut: Float64Array.of(2, 3) });
    const table = await finished(log);
    expect(table.schema.fields.map((field) => field.name)).toEqual([
      ...["step", "loss", "learning_rate", "gradient_norm", "tokens", "held_out_loss"],
    ]);
    expect([...table.getChild("held_out_loss")!.get(0)]).toEqual([2, 3]);
  });
});
