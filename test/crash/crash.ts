/**
 * Kills runs of the built program at random moments, runs them again, and compares what they end with: every final file
 * byte by byte with that of a run that nobody disturbed. Moments are drawn by stage, so that short stages are hit as often
 * as long ones.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { SIGNAL_STATUS, type StopSignal } from "../../src/cli/signals.ts";
import { Rng } from "../../src/lib/rng.ts";

const ROOT = join(import.meta.dirname, "../..");
const PROGRAM = join(ROOT, "dist/cli/main.js");

/** What is killed: the stages of a run, in the order in which they begin; then the two of a set that is made of it. */
const STAGES = ["discover", "count", "tokenize", "reference", "proxy", "resample", "read", "write"] as const;
type Stage = (typeof STAGES)[number];

/** A process that was told to stop has this long. */
const STOP_MS = 20_000;

export interface Kill {
  readonly stage: Stage;
  readonly signal: "SIGKILL" | StopSignal;
  /** after the stage began */
  readonly delayMs: number;
}

export interface CrashReport {
  /** that met a run at work, by stage and signal */
  readonly kills: Record<Stage, Record<string, number>>;
  /** runs that were finished and compared */
  readonly lives: number;
  /** a sentence for each thing that was not as promised */
  readonly faults: string[];
}

export interface CrashOptions {
  readonly folder: string;
  /** to reach, over all stages */
  readonly kills: number;
  readonly seed: number;
  /** share of the kills that ask, by SIGTERM, SIGINT or SIGUSR1, rather than kill */
  readonly polite: number;
  log(line: string): void;
}

export async function crash({ folder, kills: wanted, seed, polite, log }: CrashOptions): Promise<CrashReport> {
  const rng = new Rng(seed, "crash");
  let draws = 0;
  const below = (n: number) => Math.floor(rng.uniform(draws++) * n);
  const kills = Object.fromEntries(STAGES.map((stage) => [stage, {}])) as CrashReport["kills"];
  const faults: string[] = [];
  mkdirSync(folder, { recursive: true });
  const whole = new Life(join(folder, "whole"));
  const durations = await whole.measure();
  const expected = whole.fingerprints();
  let [met, lives] = [0, 0];
  for (; met < wanted; lives++) {
    const life = new Life(join(folder, `life-${lives}`));
    // Later kills of a life never ask for a stage that is behind it.
    for (let at = lives % STAGES.length; at < STAGES.length && met < wanted; at += below(3)) {
      const stage = STAGES[at]!;
      const asked = rng.uniform(draws++) < polite;
      const signals = Object.keys(SIGNAL_STATUS) as StopSignal[];
      const signal = asked ? signals[below(signals.length)]! : "SIGKILL";
      const kill: Kill = { stage, signal, delayMs: rng.uniform(draws++) * durations[stage] };
      const outcome = await life.disturb(kill);
      if (outcome.ended === "before") continue; // it was faster this time
      met++;
      kills[stage][signal] = (kills[stage][signal] ?? 0) + 1;
      log(`${met}/${wanted} life ${lives}: ${signal} ${Math.round(kill.delayMs)} ms into ${stage}`);
      faults.push(...outcome.faults, ...life.faultsBetween());
    }
    faults.push(...(await life.finish()), ...life.faultsAtEnd(expected));
    rmSync(life.folder, { recursive: true, force: true });
    if (faults.length > 0) break;
  }
  return { kills, lives, faults };
}

function isOfSet(stage: Stage): boolean {
  return stage === "read" || stage === "write";
}

/** One output folder, from its first run to its last. */
class Life {
  readonly folder: string;
  readonly #pipeline: string;
  readonly #output: string;

  constructor(folder: string) {
    this.folder = folder;
    this.#output = join(folder, "out");
    this.#pipeline = join(folder, "pipeline.yaml");
    mkdirSync(folder, { recursive: true });
    writeFileSync(this.#pipeline, PIPELINE);
  }

  #command(stage: Stage): string[] {
    const set = ["--as", "parquet", "--shard-size", "20kB", "--output", join(this.folder, "set")];
    return isOfSet(stage)
      ? ["materialize", join(this.#output, "resample/manifest.json"), ...set]
      : ["run", this.#pipeline];
  }

  /** Runs to the end. @returns how long each stage took, ms */
  async measure(): Promise<Record<Stage, number>> {
    const durations = Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<Stage, number>;
    for (const last of ["resample", "write"] as const) {
      const run = start(this.#command(last));
      const began = new Map<string, number>();
      for await (const { event, stage } of run.events()) {
        if (event === "start") began.set(stage, performance.now());
        else if (event === "done") durations[stage as Stage] = performance.now() - began.get(stage)!;
      }
      const status = await run.status;
      if (status !== "0") throw new Error(`${this.#command(last).join(" ")}: ended with ${status}: ${run.tail()}`);
    }
    return durations;
  }

  /** Lets the stage begin, waits, and sends the signal to the whole process group. */
  async disturb({ stage, signal, delayMs }: Kill): Promise<{ ended: "by it" | "before"; faults: string[] }> {
    if (isOfSet(stage)) {
      const faults = await this.#run("resample");
      if (faults.length > 0) return { ended: "by it", faults };
    }
    const run = start(this.#command(stage));
    let sentAt: number | undefined;
    for await (const { event, stage: other } of run.events()) {
      if (event !== "start" || other !== stage || sentAt !== undefined) continue;
      await Promise.race([wait(delayMs), run.status]);
      sentAt = performance.now();
      run.signal(signal);
    }
    const status = await run.status;
    if (sentAt === undefined || status === "0") return { ended: "before", faults: [] };
    const faults: string[] = [];
    const expected = signal === "SIGKILL" ? "SIGKILL" : String(SIGNAL_STATUS[signal]);
    if (status !== expected) faults.push(`${signal} in ${stage}: ended with ${status}, not ${expected}: ${run.tail()}`);
    if (signal !== "SIGKILL" && performance.now() - sentAt > STOP_MS)
      faults.push(`${signal} in ${stage}: took over 20 s`);
    return { ended: "by it", faults };
  }

  /** Undisturbed. */
  async finish(): Promise<string[]> {
    return [...(await this.#run("resample")), ...(await this.#run("write"))];
  }

  async #run(stage: Stage): Promise<string[]> {
    const run = start(this.#command(stage));
    for await (const _ of run.events());
    const status = await run.status;
    return status === "0" ? [] : [`${this.#command(stage)[0]} after the kills: ended with ${status}: ${run.tail()}`];
  }

  /** What stands under a final name is whole at any time. */
  faultsBetween(): string[] {
    return entries(this.#output)
      .filter((name) => name !== ".doremi")
      .flatMap((stage) => {
        const folder = join(this.#output, stage);
        if (!entries(folder).includes("done.json")) return [`${folder}: stands there without done.json`];
        const mark = JSON.parse(readFileSync(join(folder, "done.json"), "utf8")) as {
          readonly files: readonly { readonly path: string; readonly sha256: string }[];
        };
        return mark.files
          .filter(({ path, sha256 }) => sha256Of(join(folder, path)) !== sha256)
          .map(({ path }) => `${folder}/${path}: is not what done.json says`);
      });
  }

  faultsAtEnd(expected: ReadonlyMap<string, string>): string[] {
    const found = this.fingerprints();
    const names = [...new Set([...expected.keys(), ...found.keys()])];
    const differ = names
      .filter((name) => expected.get(name) !== found.get(name))
      .map((name) => {
        const how = !found.has(name) ? "is missing" : !expected.has(name) ? "is left over" : "has other bytes";
        return `${this.folder}/${name}: ${how}`;
      });
    return [...this.faultsBetween(), ...differ];
  }

  /** SHA-256 of all files but those that say where and when. */
  fingerprints(): Map<string, string> {
    const files = readdirSync(this.folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = files.map((file) => join(file.parentPath, file.name).slice(this.folder.length + 1)).sort();
    return new Map(
      paths
        // keys hold the paths of the run; names of lists in the cache follow from them
        .filter((path) => !["/done.json", ".kept.jsonl", "/.doremi/status.json"].some((end) => path.endsWith(end)))
        .map((path) => [path, sha256Of(join(this.folder, path))]),
    );
  }
}

interface Event {
  readonly event: string;
  readonly stage: string;
}

interface Run {
  /** exit status, or the signal that ended it */
  readonly status: Promise<string>;
  events(): AsyncGenerator<Event>;
  signal(signal: NodeJS.Signals): void;
  /** last lines of what it said */
  tail(): string;
}

function start(args: readonly string[]): Run {
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, ...args, "--log-format", "json"], {
    detached: true, // a process group of its own
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines: string[] = [];
  const status = new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(signal ?? String(code)));
  });
  return {
    status,
    async *events() {
      for await (const line of createInterface({ input: child.stderr! })) {
        lines.push(line);
        if (line.startsWith("{")) yield JSON.parse(line) as Event;
      }
    },
    signal(signal) {
      try {
        process.kill(-child.pid!, constants.signals[signal]);
      } catch {
        // it is gone already
      }
    },
    tail: () => lines.slice(-3).join(" | "),
  };
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function sha256Of(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

const PIPELINE = `version: 1
name: crash
output: out
seed: 1
workers: 2
tokenizer: ${join(ROOT, "pipelines/quickstart/tokenizer-4096.json")}
data:
  files: ${join(ROOT, "test/files/corpus/folders/{domain}/part-*")}
  heldOut: { fraction: 0.1, minDocuments: 1 }
count: { tokenizers: [r50k] }
train:
  model: { layers: 1, width: 16, heads: 2, sequenceLength: 32 }
  batchSize: 4
  threads: 1
  checkpointEvery: 3
  evaluationSequences: 4
  reference: { steps: 40 }
  proxy: { steps: 40 }
resample: { budgetTokens: 60000, maxEpochs: 4 }
`;
