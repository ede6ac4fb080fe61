/**
 * Runs a program to its end and tells what it took: time from start to exit, the memory of it and its children, the
 * processor time of its first thread, and what everybody else used of the processors meanwhile. Memory and processor time
 * are Linux's to tell, by looking every few milliseconds.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** true: whatever it exits with is a result */
  readonly mayFail?: boolean;
  /** between two of the `samples`; none are taken without */
  readonly sampleEveryMs?: number;
}

/** Memory of the program and its children together at a moment. */
export interface MemorySample {
  /** since the start */
  readonly seconds: number;
  readonly bytes: number;
}

export interface Exit {
  /** exit status; null: a signal ended it */
  readonly status: number | null;
  readonly stdout: string;
  readonly seconds: number;
  /** of the program and its children together, at their highest; null where the system does not tell */
  readonly peakBytes: number | null;
  /** processor seconds of the first thread */
  readonly mainThreadSeconds: number | null;
  /** share of the machine's processor time that went to other programs, 0..1 */
  readonly otherShare: number | null;
  readonly samples: readonly MemorySample[];
}

const LOOK_EVERY_MS = 20;
const PAGE_BYTES = 4096;
const TICKS_PER_SECOND = 100;

/** @throws Error with what the program said last, unless it exits with 0 or may fail */
export function runProgram({ program, args, env, mayFail = false, sampleEveryMs }: Command): Promise<Exit> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    let peakBytes: number | null = null;
    let mainThreadSeconds: number | null = null;
    let treeSeconds = 0;
    const samples: MemorySample[] = [];
    const before = machineSeconds();
    const self = process.cpuUsage();
    const look = setInterval(() => {
      if (child.pid === undefined) return;
      const resident = treeBytes(child.pid);
      const elapsed = performance.now() - started;
      if (sampleEveryMs !== undefined && resident > 0 && elapsed >= sampleEveryMs * (samples.length + 1)) {
        samples.push({ seconds: elapsed / 1000, bytes: resident });
      }
      const bytes = Math.max(resident, ownPeakBytes(child.pid));
      if (bytes > 0) peakBytes = Math.max(peakBytes ?? 0, bytes);
      mainThreadSeconds = threadSeconds(`${child.pid}/task/${child.pid}`) ?? mainThreadSeconds;
      treeSeconds = Math.max(treeSeconds, processorSeconds(child.pid));
    }, LOOK_EVERY_MS);
    child.stdout.on("data", (data) => {
      stdout += data;
    });
    child.stderr.on("data", (data) => {
      stderr = (stderr + data).slice(-4000);
    });
    child.on("error", (error) => {
      clearInterval(look);
      reject(error);
    });
    child.on("close", (code) => {
      clearInterval(look);
      const seconds = (performance.now() - started) / 1000;
      const after = machineSeconds();
      const { user, system } = process.cpuUsage(self);
      const otherShare =
        before === null || after === null
          ? null
          : Math.max(0, (after - before - treeSeconds - (user + system) / 1e6) / (seconds * availableParallelism()));
      if (code === 0 || mayFail) {
        resolve({ status: code, stdout, seconds, peakBytes, mainThreadSeconds, otherShare, samples });
      } else reject(new Error(`${program} ${args.join(" ")}: exit ${code}\n${stderr}`));
    });
  });
}

/** The last line of what a program printed, which is JSON. */
export function lastLine(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
}

/** A file of /proc; undefined where there is none, or the process is gone. */
function proc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return undefined;
  }
}

function treeBytes(pid: number): number {
  const resident = Number(proc(`${pid}/statm`)?.split(" ")[1] ?? 0) * PAGE_BYTES;
  const children = proc(`${pid}/task/${pid}/children`)?.split(" ").filter(Boolean) ?? [];
  return children.reduce((sum, child) => sum + treeBytes(Number(child)), resident);
}

function ownPeakBytes(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(proc(`${pid}/status`) ?? "")?.[1] ?? 0) * 1024;
}

/** Of a process and its children. */
function processorSeconds(pid: number): number {
  const children = proc(`${pid}/task/${pid}/children`)?.split(" ").filter(Boolean) ?? [];
  return children.reduce((sum, child) => sum + processorSeconds(Number(child)), threadSeconds(`${pid}`) ?? 0);
}

/** Busy seconds of all processors since the machine started; null where the system does not tell. */
function machineSeconds(): number | null {
  const fields = proc("stat")?.split("\n")[0]?.split(/ +/).slice(1).map(Number);
  if (!fields) return null;
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields;
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

/** @param path of a process or one of its threads, in /proc */
function threadSeconds(path: string): number | undefined {
  // the fields behind the name, which may have blanks and brackets in it
  const fields = proc(`${path}/stat`)
    ?.replace(/^.*\) /s, "")
    .split(" ");
  return fields && (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
