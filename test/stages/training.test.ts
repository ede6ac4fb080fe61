/** A training in its own thread: whatever ends it, it goes on to the same bytes; and what was computed once serves again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { StageEvent } from "../../src/stages/stage.ts";
import type { TrainingReport } from "../../src/stages/training.ts";
import { BLOCK_SEQUENCES } from "../../src/trainer/draws.ts";
import { LONG_STEPS, type Settings, STEPS, smallTraining, T } from "./small-training.ts";

/** Threads that were started, so that a test can end one. */
const threads = vi.hoisted(() => [] as { readonly name: string; readonly worker: Worker }[]);
vi.mock("node:worker_threads", async (original) => {
  const module = await original<typeof import("node:worker_threads")>();
  class Watched extends module.Worker {
    constructor(...[file, options]: ConstructorParameters<typeof Worker>) {
      super(file, options);
      threads.push({ name: options?.name ?? "", worker: this });
    }
  }
  return { ...module, Worker: Watched };
});

/** With the reference and the proxy as they are when nothing interrupts them. */
let whole: string;
let wholeProxy: TrainingReport;
beforeAll(async () => {
  whole = mkdtempSync(join(tmpdir(), "doremi-training-"));
  await smallTraining(whole, "reference");
  wholeProxy = await smallTraining(whole, "proxy");
});
afterAll(() => rmSync(whole, { recursive: true, force: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-training-"));
  cpSync(join(whole, "reference"), join(folder, "reference"), { recursive: true });
  threads.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const files = (stage: string, root = folder): Record<string, string> => {
  const paths = readdirSync(join(root, stage), { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  return Object.fromEntries(
    paths.map(({ parentPath, name }) => [
      `${parentPath}/${name}`.slice(join(root, stage).length),
      readFileSync(join(parentPath, name)).toString("base64"),
    ]),
  );
};

const proxy = (settings: Settings = {}) => smallTraining(folder, "proxy", settings);

/** Trains until a step, and is then interrupted by `what`. */
async function until(step: number, what: () => void, settings: Settings = {}): Promise<void> {
  await proxy({
    ...settings,
    onEvent: (event) => void (event.type === "progress" && event.unit === "steps" && event.done === step && what()),
  });
}

/** Has every step's progress reported, where the reporter would leave out those of the same tenth of a second. */
function reportEveryStep(): void {
  let now = 0;
  const real = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => real() + 1000 * now++);
}
afterEach(() => vi.restoreAllMocks());

describe("a training that is cut off", () => {
  it("by a stop saves its state and goes on to the same bytes, with another interval of checkpoints", async () => {
    reportEveryStep();
    const stop = new AbortController();
    const stopped = until(5, () => stop.abort(), { signal: stop.signal, training: { checkpointEvery: 3 } });
    await expect(stopped).rejects.toMatchObject({ kind: "interrupted", message: expect.stringMatching(/of 12/) });
    const result = await proxy({ training: { checkpointEvery: 5 } });
    expect(files("proxy")).toEqual(files("proxy", whole));
    expect({ ...result, dataWait: null }).toEqual({ ...wholeProxy, dataWait: null });
  });

  it.each(["the trainer", "the feed"])("by the death of %s's thread says so, and goes on", async (name) => {
    reportEveryStep();
    const worker = () => threads.find((thread) => thread.name === name)!.worker;
    // A message that is none throws in the trainer's thread, between two steps; to cut off native code ends the process.
    const dead = until(9, () => void (name === "the feed" ? worker().terminate() : worker().postMessage(null)));
    await expect(dead).rejects.toMatchObject({
      code: "thread-died",
      message: expect.stringMatching(
        new RegExp(`thread of ${name} ended before its work.*goes on from the last checkpoint`),
      ),
    });
    const steps: number[] = [];
    await proxy({ onEvent: (event) => void (event.type === "progress" && steps.push(event.done)) });
    expect(steps[0]).toBeGreaterThan(4); // not from the beginning
    expect(files("proxy")).toEqual(files("proxy", whole));
  });

  it("by a disk that its records no longer fit on keeps what is trained", async () => {
    reportEveryStep();
    const inTheWay = join(folder, "proxy", "trace.arrow");
    mkdirSync(join(inTheWay, "not-a-file"), { recursive: true });
    await expect(proxy({ training: { checkpointEvery: 4 } })).rejects.toThrow();
    expect(readdirSync(join(folder, "proxy", "checkpoints")).length).toBeGreaterThan(0);
    rmSync(inTheWay, { recursive: true });
    const steps: number[] = [];
    await proxy({
      onEvent: (event) => void (event.type === "progress" && event.unit === "steps" && steps.push(event.done)),
    });
    expect(steps[0]).toBeGreaterThan(4); // not from the beginning
    expect(files("proxy")).toEqual(files("proxy", whole));
  });

  it("by kill -9 goes on to the same bytes", async () => {
    rmSync(join(folder, "reference"), { recursive: true });
    const script = fileURLToPath(new URL("./workers/training-process.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", script, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let done = 0;
    for await (const line of child.stdout) {
      done = Number(String(line).trim().split("\n").at(-1));
      if (done >= 5) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect(child.signalCode).toBe("SIGKILL");
    expect(readdirSync(join(folder, "reference", "checkpoints")).length).toBeGreaterThan(0);
    const long = { input: { steps: LONG_STEPS } };
    await smallTraining(folder, "reference", long);
    const other = join(folder, "uninterrupted");
    await smallTraining(other, "reference", long);
    expect(files("reference")).toEqual(files("reference", other));
  });
});

it("more threads than processors are no more than processors, and are said", async () => {
  const { notes } = await proxy({ training: { threads: 1000 } });
  expect(notes).toContainEqual(expect.stringMatching(/^train\.threads is 1000, and \d+ compute/));
});

describe("the checkpoints of a training", () => {
  it("are as many of the newest as are to be kept; a damaged one is named and the one before it serves", async () => {
    reportEveryStep();
    const stop = new AbortController();
    const training = { checkpointEvery: 2, keepCheckpoints: 3 };
    await until(11, () => stop.abort(), { signal: stop.signal, training }).catch(() => {});
    const checkpoints = join(folder, "proxy", "checkpoints");
    const kept = readdirSync(checkpoints).filter((name) => name.endsWith(".json"));
    expect(kept).toHaveLength(3);
    const newest = Math.max(...kept.map((name) => Number(/\d+/.exec(name))));
    const path = join(checkpoints, `step-${newest}.safetensors`);
    const bytes = readFileSync(path);
    bytes[bytes.length - 3]! ^= 8;
    writeFileSync(path, bytes);
    const { notes } = await proxy({ training });
    expect(notes).toContainEqual(
      expect.stringMatching(new RegExp(`step-${newest}.safetensors: is damaged.*goes on from`)),
    );
    expect(files("proxy")).toEqual(files("proxy", whole));
  });
});

describe("a proxy's reference losses", () => {
  const cached = (event: StageEvent) => event.type === "progress" && event.unit === "tokens";

  it("give the same bytes computed once as beside the proxy, and serve other runs", async () => {
    const cache = join(folder, "cache");
    const events: StageEvent[] = [];
    const settings: Settings = {
      cache,
      training: { referenceLosses: "cached" },
      onEvent: (event) => events.push(event),
    };
    const { notes } = await proxy(settings);
    expect(events.filter(cached).at(-1)).toMatchObject({ done: 50 * 16, total: 50 * 16 });
    expect(notes).toEqual([
      "reference losses: cached, for 96 draws of 50 sequences, of which 0 have their losses from earlier",
    ]);
    expect(files("proxy")).toEqual(files("proxy", whole));

    events.length = 0;
    rmSync(join(folder, "proxy"), { recursive: true });
    await proxy({ ...settings, input: { seed: 2 } });
    expect(events.filter(cached)).toEqual([]);
    expect(events).toContainEqual(expect.objectContaining({ message: expect.stringMatching(/of which 50 have/) }));
  });

  it("are cached by themselves where sequences are drawn more than once, and resident where they are not", async () => {
    const once: StageEvent[] = [];
    await proxy({ training: { referenceLosses: "auto" }, input: { steps: 2 }, onEvent: (event) => once.push(event) });
    expect(once).toContainEqual(
      expect.objectContaining({ message: expect.stringMatching(/losses: resident, for 16 draws/) }),
    );
    rmSync(join(folder, "proxy"), { recursive: true });
    const { notes } = await proxy({ training: { referenceLosses: "auto" } });
    expect(notes).toEqual([expect.stringMatching(/losses: cached, for 96 draws of 50/)]);
    // Without a cache folder they lie in the stage's, and go with the checkpoints.
    expect(Object.keys(files("proxy"))).toEqual(Object.keys(files("proxy", whole)));
  });

  it("are kept as far as they came when a run is stopped while it computes them", async () => {
    const stop = new AbortController();
    const settings: Settings = { cache: join(folder, "cache"), training: { referenceLosses: "cached" } };
    const stopped = proxy({
      ...settings,
      signal: stop.signal,
      onEvent: (event) => void (cached(event) && stop.abort()),
    });
    await expect(stopped).rejects.toMatchObject({
      message: expect.stringMatching(/reference losses: interrupted after/),
    });
    const { notes } = await proxy(settings);
    expect(notes).toEqual([expect.stringMatching(/of which [1-9]\d* have their losses/)]);
    expect(files("proxy")).toEqual(files("proxy", whole));
  });
});

describe("a training on stores that are still written", () => {
  const sequences = [BLOCK_SEQUENCES + 100, 2 * BLOCK_SEQUENCES + 50] as const;
  let ready: string;
  let work: string;
  beforeEach(async () => {
    [ready, work] = [join(folder, "ready"), join(folder, "work")];
    await smallTraining(ready, "reference", { sequences });
    mkdirSync(work);
    rmSync(join(folder, "reference"), { recursive: true });
  });

  /** What tokenize has written, ids of two bytes. @param tokens of each training store; nothing is held out yet */
  const writeParts = (tokens: number): void => {
    for (const name of readdirSync(join(ready, "tokenize")).filter((file) => file.endsWith(".bin"))) {
      const bytes = readFileSync(join(ready, "tokenize", name));
      const end = name.includes("held-out") && Number.isFinite(tokens) ? 0 : 2 * tokens;
      writeFileSync(join(work, `${name}.part`), bytes.subarray(0, end));
    }
  };

  it("needs no more than the blocks that its steps reach, and ends in the same bytes", async () => {
    writeParts(BLOCK_SEQUENCES * T + 1);
    let ended = false;
    let trained = () => {};
    const allSteps = new Promise<void>((resolve) => {
      trained = resolve;
    });
    const training = smallTraining(folder, "reference", {
      sequences,
      unfinished: work,
      onEvent: (event) => void (event.type === "progress" && event.done === STEPS && trained()),
    }).finally(() => {
      ended = true;
    });
    await Promise.race([allSteps, training]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(ended).toBe(false); // it waits for what is held out
    writeParts(Number.POSITIVE_INFINITY);
    cpSync(join(ready, "tokenize"), join(folder, "tokenize"), { recursive: true });
    rmSync(work, { recursive: true });
    await training;
    expect(files("reference")).toEqual(files("reference", ready));
  });

  it("stops while it waits for them, with its state saved", async () => {
    writeParts(0);
    const stop = new AbortController();
    const training = smallTraining(folder, "reference", { sequences, unfinished: work, signal: stop.signal });
    setTimeout(() => stop.abort(), 2_000);
    await expect(training).rejects.toMatchObject({ kind: "interrupted" });
    await smallTraining(folder, "reference", { sequences });
    expect(files("reference")).toEqual(files("reference", ready));
  });
});

describe("what a training says", () => {
  it("has the share of time that the engine waited for data", async () => {
    const events: StageEvent[] = [];
    const { dataWait, steps } = await proxy({ onEvent: (event) => events.push(event) });
    expect(steps).toBe(STEPS);
    expect(dataWait).toBeGreaterThan(0);
    expect(dataWait).toBeLessThan(1);
    expect(events).toContainEqual(expect.objectContaining({ type: "trained", stage: "proxy", steps: STEPS, dataWait }));
  });
});
