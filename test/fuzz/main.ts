/**
 * The long fuzz run: every target in a process of its own, with a limit of memory and of time for each input. An input
 * that fails is written out; the same seed makes it again.
 *
 *     npm run test:fuzz -- [--inputs N] [--seed N] [--target NAME] [--out FOLDER]
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Draws } from "./mutate.ts";
import { pollution, type Target, targets } from "./targets.ts";

const TIME_LIMIT_MS = 10_000;
/** Of JavaScript's heap; and of all that is resident, WebAssembly and buffers too. */
const HEAP_MB = 512;
const RESIDENT_BYTES = 1e9;
/** A process is begun anew after so many inputs, so that what each leaves behind counts for little. */
const INPUTS_PER_PROCESS = 4000;

interface Fault {
  readonly target: string;
  readonly input: number;
  readonly fault: string;
}

type Message = { readonly at: number } | { readonly fault: string; readonly at: number };

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    target: { type: "string", multiple: true },
    out: { type: "string", default: join(tmpdir(), "doremi-fuzz-faults") },
    child: { type: "string" },
    from: { type: "string", default: "0" },
  },
});
const seed = Number(values.seed);
const inputs = Number(values.inputs);

/** The input of this number: the same for the same seed. */
export function inputOf(target: Target, seeds: readonly Buffer[], at: number): Buffer {
  const draws = new Draws(seed, `${target.name}/${at}`);
  return target.mutate(draws, draws.of(seeds), seeds);
}

async function runChild(name: string, from: number, until: number): Promise<void> {
  const target = targets.find((target) => target.name === name)!;
  const folder = mkdtempSync(join(tmpdir(), "doremi-fuzz-"));
  const say = (message: Message) => new Promise<void>((resolve) => void process.send!(message, () => resolve()));
  const base = process.memoryUsage.rss();
  const seeds = await target.seeds(folder);
  process.on("uncaughtException", async (error) => {
    await say({ at, fault: `uncaught: ${error.stack}` });
    process.exit(1);
  });
  process.on("unhandledRejection", async (error) => {
    await say({ at, fault: `unhandled: ${(error as Error)?.stack ?? error}` });
    process.exit(1);
  });
  let at = from;
  for (; at < until; at++) {
    await say({ at });
    try {
      await target.run(inputOf(target, seeds, at), folder);
    } catch (error) {
      await say({ at, fault: (error as Error)?.stack ?? String(error) });
    }
    const polluted = pollution();
    if (polluted) await say({ at, fault: polluted });
    const resident = process.memoryUsage.rss() - base;
    if (resident > RESIDENT_BYTES) {
      await say({ at, fault: `${Math.round(resident / 1e6)} MB are resident` });
      process.exit(1);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}

/** One process, from an input on. @returns the input to go on from */
async function runStretch(target: Target, from: number, until: number, onFault: (fault: Fault) => void) {
  const args = ["--child", target.name, "--from", String(from), "--inputs", String(until), "--seed", String(seed)];
  const child: ChildProcess = fork(import.meta.filename, args, {
    execArgv: ["--import", "tsx", `--max-old-space-size=${HEAP_MB}`],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let at = from;
  let said = ""; // the end of stderr, for a crash
  let isReported = false;
  child.stderr!.on("data", (data) => {
    said = (said + data).slice(-2000);
  });
  const report = (fault: string) => {
    isReported = true;
    onFault({ target: target.name, input: at, fault });
  };
  const hang = () => {
    report(`takes longer than ${TIME_LIMIT_MS / 1000} s`);
    child.kill("SIGKILL");
  };
  let timer = setTimeout(hang, 6 * TIME_LIMIT_MS); // loading the modules and making the seeds
  child.on("message", (message: Message) => {
    clearTimeout(timer);
    at = message.at;
    if ("fault" in message) report(message.fault);
    else {
      isReported = false;
      timer = setTimeout(hang, TIME_LIMIT_MS);
    }
  });
  const code = await new Promise<number | string>((resolve) =>
    child.once("exit", (code, signal) => resolve(signal ?? code ?? 0)),
  );
  clearTimeout(timer);
  if (code === 0) return until;
  if (!isReported) report(`the process ended with ${code}: ${said}`);
  return at + 1;
}

async function main(): Promise<void> {
  const chosen = targets.filter(({ name }) => values.target?.includes(name) ?? true);
  const faults: Fault[] = [];
  for (const target of chosen) {
    const started = performance.now();
    let found = 0;
    const folder = mkdtempSync(join(tmpdir(), "doremi-fuzz-"));
    const seeds = await target.seeds(folder);
    const onFault = (fault: Fault) => {
      found++;
      faults.push(fault);
      mkdirSync(values.out, { recursive: true });
      const name = join(values.out, `${target.name}-${seed}-${fault.input}`);
      writeFileSync(name, inputOf(target, seeds, fault.input));
      writeFileSync(`${name}.txt`, `${fault.fault}\n`);
      console.error(`${target.name}, seed ${seed}, input ${fault.input}: ${fault.fault.slice(0, 600)}`);
    };
    for (let at = Number(values.from); at < inputs && found < 50; ) {
      at = await runStretch(target, at, Math.min(inputs, at + INPUTS_PER_PROCESS), onFault);
    }
    rmSync(folder, { recursive: true, force: true });
    const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
    console.log(JSON.stringify({ target: target.name, inputs, seeds: seeds.length, faults: found, seconds }));
  }
  process.exitCode = faults.length > 0 ? 1 : 0;
}

await (values.child === undefined ? main() : runChild(values.child, Number(values.from), inputs));
