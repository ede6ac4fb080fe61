/**
 * Counts corpora that are large in one way each, and measures the memory of it. `npm run bench:memory -- --help` says how;
 * figures go to stdout as JSON.
 */
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../../src/lib/atomic-write.ts";
import { VERSION } from "../../src/lib/version.ts";
import { runBench } from "../command.ts";
import { machine } from "../machine.ts";
import { readingOf } from "../markdown.ts";
import { lastLine, runProgram } from "../process.ts";
import { HELP, type Options, parseOptions, type Trial } from "./options.ts";
import { reportOf, type TrialRun } from "./report.ts";
import { makeShards } from "./shards.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const SAMPLE_EVERY_MS = 2000;
const TOKENIZER = "r50k";

/** The JSON line of `doremi count`, as far as it is read here. */
interface Result {
  readonly error?: { readonly code: string };
  readonly domains?: Readonly<
    Record<
      string,
      { readonly documents: number; readonly bytes: number; readonly tokens: Readonly<Record<string, number>> }
    >
  >;
}

async function measure(options: Options, temporary: string): Promise<void> {
  const folder = options.scratch === null ? temporary : await mkdtemp(join(options.scratch, "doremi-memory-"));
  const runs: TrialRun[] = [];
  try {
    for (const trial of options.trials) {
      const run = await measureTrial(trial, options, join(folder, trial));
      runs.push(run);
      const { samples: _, ...figures } = run;
      process.stderr.write(`${JSON.stringify(figures)}\n`);
    }
  } finally {
    if (folder !== temporary) await rm(folder, { recursive: true, force: true });
  }
  const { out, scratch: _scratch, python: _python, ...given } = options;
  const about = { date: new Date().toISOString().slice(0, 10), machine: machine(), doremi: VERSION, options: given };
  if (out !== null) {
    await mkdir(dirname(out), { recursive: true });
    const before = await readFile(out, "utf8").catch(() => "");
    await writeFileAtomic(out, reportOf(about, runs) + readingOf(before));
  }
  process.stdout.write(`${JSON.stringify({ bench: "memory", ...about, runs })}\n`);
}

/** @param folder is made, and is gone afterwards */
export async function measureTrial(trial: Trial, options: Options, folder: string): Promise<TrialRun> {
  await mkdir(folder);
  try {
    const { pattern, files } = await makeShards(trial, options, resolve(folder));
    const bounded = trial === "bounded" || trial === "row-group";
    const memory = bounded ? ["--max-memory", `${options.maxMemoryMb}MB`] : [];
    const args = [
      MAIN,
      "count",
      "--data",
      pattern,
      "--tokenizer",
      TOKENIZER,
      "--no-cache",
      "--workers",
      "2",
      ...memory,
    ];
    const { stdout, ...exit } = await runProgram({
      program: process.execPath,
      args: [...args, "--log-format", "json"],
      mayFail: true,
      sampleEveryMs: SAMPLE_EVERY_MS,
    });
    const result = stdout === "" ? {} : (lastLine(stdout) as Result);
    const domains = Object.values(result.domains ?? {});
    const sum = (of: (domain: (typeof domains)[number]) => number) => domains.reduce((all, one) => all + of(one), 0);
    return {
      ...{ trial, files, maxMemoryMb: bounded ? options.maxMemoryMb : null },
      ...{ status: exit.status, refused: result.error?.code ?? null },
      documents: sum(({ documents }) => documents),
      textBytes: sum(({ bytes }) => bytes),
      tokens: sum(({ tokens }) => tokens[TOKENIZER] ?? 0),
      ...{ seconds: exit.seconds, peakBytes: exit.peakBytes, samples: exit.samples },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await runBench({ name: "bench:memory", help: HELP, parse: parseOptions, measure });
