/** The record of a training: whole whatever the system writes at once, and cut back to where a run goes on. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
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
  doremi: {
    excess: Float64Array.of(step, step + 0.25),
    alpha: Float64Array.of(0.5, 0.5),
    average: Float64Array.of(0.25, 0.75),
    domainTokens: Float64Array.of(32, 32),
    domainLoss: Float64Array.of(step / 2, step / 4),
  },
});

async function finished(log: TrajectoryLog): Promise<arrow.Table> {
  const { readFileSync } = await import("node:fs");
  await log.finish(join(folder, "trajectory.arrow"));
  return arrow.tableFromIPC(readFileSync(join(folder, "trajectory.arrow")));
}

describe("the record of a training", () => {
  it("is whole where the system writes a few bytes at a time", async () => {
    atOnce.bytes = 7;
    const path = join(folder, "trajectory.log");
    const log = new TrajectoryLog(path, ["a", "b"], true);
    for (const step of [1, 2, 3]) log.add(record(step));
    expect(statSync(path).size).toBe(3 * (4 + 5 * 2) * 8);
    expect(log.tokens()).toBe(192);
    const table = await finished(log);
    expect([...table.getChild("loss")!]).toEqual([10, 5, 10 / 3]);
    expect([...table.getChild("excess")!].map((row) => [...row])).toEqual([
      [1, 1.25],
      [2, 2.25],
      [3, 3.25],
    ]);
  });

  it("drops the steps that are done again, and refuses a gap", async () => {
    const path = join(folder, "trajectory.log");
    const first = new TrajectoryLog(path, ["a", "b"], true);
    for (const step of [1, 2, 3]) first.add(record(step));
    first.close();
    const log = new TrajectoryLog(path, ["a", "b"], true);
    expect(() => log.add(record(5))).toThrow(expect.objectContaining({ code: "trajectory-gap" }));
    log.add({ ...record(2), loss: 7 });
    expect([...(await finished(log)).getChild("loss")!]).toEqual([10, 7]);
  });
});
