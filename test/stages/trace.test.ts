/** The trace of a proxy: written step by step, cut back to where a run goes on, read again bit for bit. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { TraceLog } from "../../src/stages/trace.ts";
import { openRecording, type RecordedStep, type Recording } from "../../src/stages/trace-read.ts";
import { TrajectoryLog } from "../../src/stages/trajectory.ts";
import { readGolden } from "../mixture/golden.ts";
import { domainNames, type GoldenInputs, recordedProxy, recordsOf, writeRun } from "./recorded.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-trace-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const inputs = readGolden<GoldenInputs>("doremi/inputs_k7_missing.json");
const proxy = recordedProxy(inputs);
const heldOut = (step: number) => (step % 20 === 1 ? Float64Array.of(1, 2, 3, Number.NaN, 5, 6, step) : undefined);
const records = recordsOf(inputs, proxy, heldOut);
const names = domainNames(7);

async function stepsOf(recording: Recording): Promise<RecordedStep[]> {
  const steps: RecordedStep[] = [];
  for await (const stretch of recording.steps()) steps.push(...stretch);
  await recording.close();
  return steps;
}

describe("a trace", () => {
  it("gives back every sum bit for bit, and what the objective must know", async () => {
    const recording = await openRecording(await writeRun(folder, proxy, records));
    expect(recording).toMatchObject({ domains: names, proxy, of: "sequences" });
    const steps = await stepsOf(recording);
    expect(steps).toEqual(
      records.map(({ step, heldOut, proxy }) => ({
        step,
        sequences: proxy!.sequences,
        heldOut,
        alpha: proxy!.alpha,
      })),
    );
    expect(steps.filter(({ heldOut }) => heldOut).map(({ step }) => step)).toEqual([1, 21, 41]);
  });

  it("is small: whole numbers take no more bytes than the largest needs", async () => {
    const path = await writeRun(folder, proxy, records);
    const { schema } = arrow.tableFromIPC(readFileSync(path));
    expect(schema.fields.map(({ name, type, nullable }) => `${name} ${type}${nullable ? "?" : ""}`)).toEqual([
      "step Int32",
      "domain FixedSizeList[8]<Uint8>",
      "tokens FixedSizeList[8]<Uint8>",
      "loss FixedSizeList[8]<Float64>",
      "excess FixedSizeList[8]<Float64>",
      "clipped FixedSizeList[8]<Float64>",
      "alpha FixedSizeList[7]<Float64>",
      "held_out_loss List<Float64>?",
    ]);
    const many = { ...proxy, facts: { ...proxy.facts, sequenceLength: 70_000 } };
    await writeRun(folder, many, records);
    expect(String(arrow.tableFromIPC(readFileSync(path)).schema.fields[2]!.type)).toBe("FixedSizeList[8]<Int32>");
    expect((await stepsOf(await openRecording(path)))[49]!.sequences).toEqual(records[49]!.proxy!.sequences);
  });

  it("without a reference has the losses alone", async () => {
    const plain = recordedProxy(inputs, { name: "erm" });
    const recording = await openRecording(await writeRun(folder, plain, recordsOf(inputs, plain)));
    expect(recording.proxy.reference).toBe(false);
    const [{ sequences } = {}] = await stepsOf(recording);
    expect(sequences!.excess).toEqual(sequences!.loss);
    expect(arrow.tableFromIPC(readFileSync(recording.path)).getChild("excess")).toBeNull();
  });

  it("comes in record batches, however many steps there are", async () => {
    const sequences = 2048;
    const repeated = recordedProxy({ ...inputs, seq_len: 2048 });
    const log = new TraceLog(join(folder, "t.log"), names, sequences, repeated);
    const wide = (values: ArrayLike<number>, step: number) =>
      Float64Array.from({ length: sequences }, (_, i) => values[i % 8]! + i * step);
    const batchOf = (step: number) => {
      const { sequences: s } = records[step % 50]!.proxy!;
      return {
        domains: Int32Array.from({ length: sequences }, (_, i) => (i + step) % 7),
        tokens: wide(s.tokens, 0),
        loss: wide(s.loss, step),
        excess: wide(s.excess, -step),
        clipped: wide(s.clipped, step / 2),
      };
    };
    for (let step = 1; step <= 200; step++)
      log.add({ ...records[0]!, step, proxy: { ...records[0]!.proxy!, sequences: batchOf(step) } });
    await log.write(join(folder, "t.arrow"));
    log.drop();
    const recording = await openRecording(join(folder, "t.arrow"));
    const stretches: number[] = [];
    for await (const steps of recording.steps()) {
      stretches.push(steps.length);
      for (const { step, sequences } of steps) if (step % 40 === 3) expect(sequences).toEqual(batchOf(step));
    }
    await recording.close();
    expect(stretches).toHaveLength(3);
    expect(stretches.reduce((sum, steps) => sum + steps)).toBe(200);
  });

  it("goes on where a run goes on: torn and later steps are dropped, a gap is refused", async () => {
    const path = join(folder, "trace.log");
    const open = () => new TraceLog(path, names, 8, proxy);
    const first = open();
    for (const record of records.slice(0, 30)) first.add(record);
    first.flush();
    first.close();
    appendFileSync(path, new Uint8Array(100)); // what a crash cut
    const log = open();
    expect(log.steps).toBe(30);
    expect(() => log.add(records[31]!)).toThrow(expect.objectContaining({ code: "trajectory-gap" }));
    for (const record of records.slice(20)) log.add(record);
    await log.write(join(folder, "trace.arrow"));
    log.drop();
    expect(() => statSync(path)).toThrow(/ENOENT/);
    const resumed = readFileSync(join(folder, "trace.arrow"));
    expect(resumed.equals(readFileSync(await writeRun(folder, proxy, records)))).toBe(true);
  });

  it("refuses a batch of another size", () => {
    const log = new TraceLog(join(folder, "t.log"), names, 9, proxy);
    expect(() => log.add(records[0]!)).toThrow(/step 1 must have 9 sequences/);
    log.close();
  });
});

describe("a trajectory as a recording", () => {
  it("has a sequence for each domain, with its means, and the same weights", async () => {
    await writeRun(folder, proxy, records);
    const recording = await openRecording(join(folder, "trajectory.arrow"));
    expect(recording.of).toBe("domains");
    for (const [i, { step, sequences, heldOut, alpha }] of (await stepsOf(recording)).entries()) {
      const { domains, alpha: own } = records[i]!.proxy!;
      expect({ step, heldOut, alpha }).toEqual({ step: i + 1, heldOut: records[i]!.heldOut, alpha: own });
      expect(sequences.tokens).toEqual(domains.tokens);
      for (const name of ["loss", "excess", "clipped"] as const) {
        expect([...sequences[name]]).toEqual([...domains[name]].map((mean, k) => mean * domains.tokens[k]!));
      }
    }
  });
});

describe("what is no recording of a proxy", () => {
  const code = (path: string) =>
    openRecording(path).then(
      (recording) => recording.close(),
      (error) => error.code,
    );

  it.each([
    ["absent", "missing-file", () => {}],
    ["JSON", "wrong-file", (path: string) => writeFileSync(path, '{"a": 1}\n')],
    ["an empty file", "empty-file", (path: string) => writeFileSync(path, "")],
    ["an Arrow stream", "wrong-file", (path: string) => writeFileSync(path, streamOf({ step: [1] }))],
    [
      "an Arrow file of something else",
      "not-a-trace",
      (path: string) => writeFileSync(path, arrow.tableToIPC(arrow.tableFromArrays({ step: [1] }), "file")),
    ],
    [
      "a reference's trajectory",
      "not-a-trace",
      async (path: string) => {
        const log = new TrajectoryLog(join(folder, "r.log"), names, null);
        log.add(records[0]!);
        await log.write(path);
        log.drop();
      },
    ],
  ] as const)("%s", async (_, expected, write) => {
    const path = join(folder, "file.arrow");
    await write(path);
    expect(await code(path)).toBe(expected);
  });

  it("damage", async () => {
    const path = await writeRun(folder, proxy, records);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, whole.length - 500));
    expect(await code(path)).toBe("truncated");
    // A domain that is not there, where the first step's domains lie.
    const bytes = Buffer.from(whole);
    const domains = Buffer.from(records.flatMap(({ proxy }) => [...proxy!.sequences.domains]));
    const at = bytes.indexOf(domains);
    expect(at).toBeGreaterThan(0);
    bytes[at + 3] = 7;
    writeFileSync(path, bytes);
    await expect(openRecording(path).then(stepsOf)).rejects.toMatchObject({ code: "corrupt-file" });
    const other = Buffer.from(whole.toString("latin1").replaceAll('{"version":1,', '{"version":9,'), "latin1");
    writeFileSync(path, other);
    await expect(openRecording(path)).rejects.toThrow(/is of version 9, and this program reads 1/);
    writeFileSync(path, whole.toString("latin1").replaceAll(`"eta":${DOREMI_PRESETS.paper.eta}`, '"eta":x'), "latin1");
    await expect(openRecording(path)).rejects.toMatchObject({ code: "corrupt-file" });
  });
});

function streamOf(columns: Record<string, number[]>): Uint8Array {
  return arrow.tableToIPC(arrow.tableFromArrays(columns), "stream");
}
