/** Checkpoints on disk: whole or not there, damage found and passed over, the newest few kept. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Checkpoint } from "../../src/trainer/checkpoint.ts";
import { CheckpointFiles, type CheckpointFilesOptions } from "../../src/trainer/checkpoint-files.ts";

const CONFIGURATION = { steps: 100, seed: 1 };

let folder: string;
let notes: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-checkpoint-"));
  notes = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (options: Partial<CheckpointFilesOptions> = {}, configuration: Record<string, unknown> = CONFIGURATION) =>
  new CheckpointFiles({ folder, keep: 2, onNote: (note) => void notes.push(note), ...options }, configuration);

const checkpoint = (step: number): Checkpoint => ({
  step,
  tensors: {
    "parameter/a": { shape: [2, 2], data: Float32Array.of(step, 0.1, -0, 1e-40) },
    "first/a": { shape: [], data: Float32Array.of(step / 3) },
  },
  state: { average: [0.1 + 0.2, 1 / 3] },
});

async function saved(...steps: number[]): Promise<void> {
  const store = open();
  for (const step of steps) await store.save(checkpoint(step));
  await store.idle();
}

/** Changes one byte in the middle of a file. */
function damage(name: string): void {
  const bytes = readFileSync(join(folder, name));
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(join(folder, name), bytes);
}

describe("checkpoints on disk", () => {
  it("come back bit for bit, the newest first", async () => {
    expect(await open().load()).toBeNull();
    await saved(5, 10);
    expect(await open().load()).toStrictEqual(checkpoint(10));
  });

  it("are the newest few, with nothing else beside them", async () => {
    writeFileSync(join(folder, "step-7.safetensors.0123456789ab.tmp"), "of a run that was killed");
    await saved(5, 10, 15, 20);
    expect(readdirSync(folder).sort()).toEqual([
      "step-15.json",
      "step-15.safetensors",
      "step-20.json",
      "step-20.safetensors",
    ]);
  });

  it.each(["step-10.safetensors", "step-10.json"])(
    "damaged in %s, are found and named, and the one before is used",
    async (name) => {
      await saved(5, 10);
      damage(name);
      expect(await open().load()).toStrictEqual(checkpoint(5));
      expect(notes).toEqual([expect.stringMatching(new RegExp(`${name}: is damaged.*from step 5`))]);
      // The run goes on to step 8: the damaged one of step 10 is not the newest any more.
      const store = open();
      await store.save(checkpoint(8));
      await store.idle();
      expect(await open().load()).toStrictEqual(checkpoint(8));
    },
  );

  it("cut short, are passed over too", async () => {
    await saved(5, 10);
    rmSync(join(folder, "step-10.safetensors"));
    expect((await open().load())!.step).toBe(5);
    writeFileSync(join(folder, "step-10.safetensors"), "");
    expect((await open().load())!.step).toBe(5);
  });

  it("are refused where none is whole, with what to do", async () => {
    await saved(5, 10);
    for (const name of ["step-5.json", "step-10.json"]) damage(name);
    await expect(open().load()).rejects.toMatchObject({
      code: "checkpoint",
      file: join(folder, "step-10.json"),
      message: expect.stringMatching(/step-10\.json: is damaged.*delete .* to start again/),
    });
  });

  it("later than the records of their steps are left out", async () => {
    await saved(5, 10);
    expect((await open({ upTo: 9 }).load())!.step).toBe(5);
    expect(notes).toEqual([expect.stringMatching(/step 10 is left out.*up to 9/)]);
    expect(await open({ upTo: 4 }).load()).toBeNull();
  });

  it("of a run configured differently are refused", async () => {
    await saved(5);
    await expect(open({}, { ...CONFIGURATION, seed: 2 }).load()).rejects.toMatchObject({
      code: "other-checkpoint",
      message: expect.stringMatching(/its seed is 1 and this run's is 2/),
    });
  });

  it("that cannot be written fail whoever saves next or waits", async () => {
    const store = open({ folder: join(folder, "file", "checkpoints") });
    writeFileSync(join(folder, "file"), "");
    await store.save(checkpoint(5));
    await expect(store.idle()).rejects.toMatchObject({ code: "not-a-folder" });
    await expect(store.save(checkpoint(10))).rejects.toMatchObject({ code: "not-a-folder" });
  });
});
