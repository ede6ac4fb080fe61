/** What is said of a machine, of machines that are made up, and of this one. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { doctorLines } from "../../src/cli/doctor-text.ts";
import { DOCTOR_PROBES, type DoctorProbes, diagnose } from "../../src/pipeline/doctor.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-doctor-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const SECRET = "s3cr3t-value";

/** A machine with a card and a slow processor. */
const machine = (other: Partial<DoctorProbes> = {}): DoctorProbes => ({
  version: "v22.1.0",
  environment: { PATH: "/opt/slurm/bin", AWS_SECRET_ACCESS_KEY: SECRET, AZURE_STORAGE_KEY: SECRET, HOME_AWS: SECRET },
  home: "/home/x",
  isThere: async (path) => ["/opt/slurm/bin/sbatch", "/home/x/.aws/credentials"].includes(path),
  engines: async () => [
    { name: "cpu", usable: true, why: "4 threads" },
    { name: "cuda", usable: true, why: "a card" },
    { name: "webgpu", usable: false, why: "no adapter", remedy: "install a driver" },
  ],
  chosen: async () => "cuda",
  gflops: async (name) => ({ works: true, speed: name === "cuda" ? 9000 : 100, float16: true }),
  trainingSpeed: async (name) => ({ tokensPerSecond: 1000, flopsPerSecond: name === "cuda" ? 1e12 : 1e10 }),
  ...other,
});

describe("doctor", () => {
  it("measures what works, says what is missing and how to get it, and estimates by what auto takes", async () => {
    const diagnosis = await diagnose({ folder }, machine());
    expect(diagnosis.engines).toMatchObject([
      { name: "cpu", usable: true, chosen: false, gflops: 100 },
      { name: "cuda", usable: true, chosen: true, gflops: 9000, training: { tokensPerSecond: 1000 } },
      { name: "webgpu", usable: false, chosen: false, gflops: null, training: null, remedy: "install a driver" },
    ]);
    // 2 · 6ND, and the reference's 2ND in a proxy's step, of a model of 0.9 M parameters over 716,800 tokens, at 1e12 a second
    expect(diagnosis.estimates[0]!.seconds).toBeCloseTo(9.54, 1);
    expect(diagnosis.programs).toMatchObject([
      { name: "sbatch", path: "/opt/slurm/bin/sbatch" },
      { name: "kubectl", path: null },
    ]);
    expect(diagnosis.tokenizers.map(({ fault }) => fault)).toEqual([null, null, null]);
    expect(diagnosis.tokenizers[0]!.bytesPerSecond).toBeGreaterThan(1e6);
    expect(diagnosis.disk).toMatchObject({ folder, writable: true });
    expect(diagnosis.problems).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
    const text = doctorLines(diagnosis).join("\n");
    expect(text).toMatch(/cuda\s+✓ works, auto takes it\s+9,000\s+1,000/);
    expect(text).toContain("webgpu: no adapter; install a driver");
    expect(text).toContain("✓ a run can work here");
  });

  it("names credentials and never shows one", async () => {
    const diagnosis = await diagnose({ folder, quick: true }, machine());
    expect(diagnosis.stores).toEqual([
      { scheme: "s3", found: ["AWS_SECRET_ACCESS_KEY", "~/.aws/credentials"] },
      { scheme: "gs", found: [] },
      { scheme: "az", found: ["AZURE_STORAGE_KEY"] },
    ]);
    expect(JSON.stringify(diagnosis) + doctorLines(diagnosis).join()).not.toContain(SECRET);
  });

  it("says what a run would stop at", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const broken = machine({
      version: "v18.20.1",
      engines: async () => [{ name: "cpu", usable: true, why: "4 threads" }],
      chosen: async () => "cpu",
      trainingSpeed: async () => {
        throw new Error("no such kernel");
      },
    });
    const { problems, engines, estimates } = await diagnose(
      { folder: join(file, "out"), tokenizers: [join(folder, "none.json"), "r50"] },
      broken,
    );
    expect(problems).toEqual([
      expect.stringMatching(/^Node 18.20.1: at least 20.20 is needed/),
      expect.stringMatching(/file.out: cannot be written/),
      "no engine works: nothing can be trained here",
      expect.stringContaining("none.json"),
      expect.stringMatching(/r50.*did you mean/),
    ]);
    expect(engines[0]).toMatchObject({ usable: false, why: "a step of training fails: no such kernel" });
    expect(estimates).toEqual([]);
  });

  it("measures nothing where it is told not to", async () => {
    const never = async (): Promise<never> => expect.fail("measured");
    const diagnosis = await diagnose({ folder, quick: true }, machine({ gflops: never, trainingSpeed: never }));
    expect(diagnosis.engines.every(({ gflops, training }) => gflops === null && training === null)).toBe(true);
    expect(diagnosis.disk.syncMs).toBeNull();
    expect(diagnosis.tokenizers.every(({ bytesPerSecond }) => bytesPerSecond === null)).toBe(true);
  });

  it("trains on this machine's processor", async () => {
    const speed = await DOCTOR_PROBES.trainingSpeed("cpu");
    expect(speed!.tokensPerSecond).toBeGreaterThan(10);
    // 6 FLOP a token for each of the 0.6 M parameters of the body and 0.5 M of the output, and attention
    expect(speed!.flopsPerSecond / speed!.tokensPerSecond).toBeGreaterThan(6 * 1.1e6);
    expect(speed!.flopsPerSecond / speed!.tokensPerSecond).toBeLessThan(1.4 * 6 * 1.1e6);
  });
});
