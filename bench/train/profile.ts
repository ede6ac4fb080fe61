/**
 * Where a training step's time goes: the share of each kind of operation in the forward and backward pass of a case, as
 * ONNX Runtime measures it. Prints a table.
 *
 *   npx tsx bench/train/profile.ts [a|b|c]...
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import { train } from "../../src/trainer/train.ts";
import { listOf } from "../arguments.ts";
import { table } from "../markdown.ts";
import { CASES, type CaseName, OPTIMIZER } from "./cases.ts";
import { readJob, SEEDS, storedBatches, WARM_UP_STEPS, writeJob } from "./job.ts";

/** Operations that are products of matrices. */
const PRODUCTS: ReadonlySet<string> = new Set(["Gemm", "MatMul", "FusedMatMul"]);
/** Kinds of operations with a smaller share are summed up. */
const LEAST_SHARE = 0.01;

/** An event of ONNX Runtime's profile; microseconds. */
interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

/** Time by kind of operation, without that of the first runs. */
export function timeByOperation(events: readonly TraceEvent[], warmUpRuns: number): Map<string, number> {
  const runs = events.filter(({ name }) => name === "model_run").sort((a, b) => a.ts - b.ts);
  const from = runs[warmUpRuns]?.ts ?? 0;
  const times = new Map<string, number>();
  for (const { cat, name, ts, dur, args } of events) {
    if (cat !== "Node" || !name.endsWith("_kernel_time") || ts < from || !args?.op_name) continue;
    times.set(args.op_name, (times.get(args.op_name) ?? 0) + dur);
  }
  return times;
}

/** Rows of the table: products of matrices first, together and each; what is small last, together. */
export function shareRows(times: ReadonlyMap<string, number>): [operation: string, share: string][] {
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  const percent = (time: number) => `${((100 * time) / total).toFixed(1)} %`;
  const sorted = [...times].sort(([, a], [, b]) => b - a);
  const products = sorted.filter(([name]) => PRODUCTS.has(name));
  const others = sorted.filter(([name]) => !PRODUCTS.has(name));
  const sum = (of: readonly [string, number][]) => of.reduce((all, [, time]) => all + time, 0);
  const small = others.filter(([, time]) => time < LEAST_SHARE * total);
  return [
    [`products of matrices (${products.map(([name]) => name).join(", ")})`, percent(sum(products))],
    ...others.filter((one) => !small.includes(one)).map(([name, time]): [string, string] => [name, percent(time)]),
    [`${small.length} others`, percent(sum(small))],
  ];
}

async function profile(name: CaseName, folder: string): Promise<string[]> {
  await writeJob(folder, name, false);
  const job = readJob(folder);
  const engine = await createCpuEngine({ profilePrefix: join(folder, "profile") });
  try {
    const { model, steps } = job;
    await train({
      ...{ engine, model, optimizer: OPTIMIZER, steps, seed: SEEDS.model },
      batches: storedBatches(folder, job, false),
    });
  } finally {
    await engine.close();
  }
  const [file] = (await readdir(folder)).filter((entry) => entry.startsWith("profile"));
  const events: TraceEvent[] = JSON.parse(await readFile(join(folder, file!), "utf8"));
  return table([`case ${name}`, "share"], shareRows(timeByOperation(events, WARM_UP_STEPS)));
}

if (process.argv[1] === import.meta.filename) {
  const names =
    process.argv.length > 2 ? listOf(process.argv.slice(2).join(","), CASES, "cases") : (["a", "b"] as const);
  for (const name of names) {
    const folder = await mkdtemp(join(tmpdir(), "doremi-profile-"));
    try {
      process.stdout.write(`${(await profile(name, folder)).join("\n")}\n\n`);
    } finally {
      await rm(folder, { recursive: true });
    }
  }
}
