/**
 * Measures training beside PyTorch: steps, DoReMi's steps, opening a session, the whole recipe.
 * `npm run bench:train -- --help` says how; figures go to bench/results/train.md and, as JSON, to stdout.
 */
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../../src/lib/atomic-write.ts";
import { VERSION } from "../../src/lib/version.ts";
import { runBench } from "../command.ts";
import { machine } from "../machine.ts";
import { readingOf } from "../markdown.ts";
import { lastLine, runProgram } from "../process.ts";
import { describeContest, OURS, PROXY_CASES, planContests } from "./contenders.ts";
import { differenceOf, goalsOf, isSameWork, machinePeak, timeOf } from "./figures.ts";
import { writeJob } from "./job.ts";
import { type ContestResult, runContest } from "./measure.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import { reportOf } from "./report.ts";
import { writeRecipe } from "./stores.ts";

const PEERS = fileURLToPath(new URL("peers.py", import.meta.url));

async function measure(options: Options, folder: string): Promise<void> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const peers = options.python === null ? {} : await versions(options.python);
  const inputs = { jobs: folder, recipes: join(folder, "recipe"), compiled: join(folder, "compiled") };
  if (options.parts.includes("steps") || options.parts.includes("proxy")) {
    for (const name of options.cases)
      await writeJob(join(folder, name), name, options.parts.includes("proxy") && PROXY_CASES.includes(name));
  }
  if (options.parts.includes("recipe"))
    for (const name of options.recipes) await writeRecipe(join(inputs.recipes, name), name, options.recipeSteps);
  const results: ContestResult[] = [];
  for (const contest of planContests(options, inputs)) {
    const where = describeContest(contest);
    results.push(
      await runContest(contest, options.runs, OURS, (_, run) => {
        const time = run.line.gflops ? `${run.line.gflops.toFixed(0)} GFLOP/s` : timeOf(run).toFixed(2);
        const memory = run.peakBytes === null ? "" : `, ${Math.round(run.peakBytes / 1e6)} MB`;
        say(`${where}: ${run.contender}, round ${run.round + 1}: ${time}${memory}`);
      }),
    );
    for (const { contender, message } of results.at(-1)!.failures) say(`${where}: ${contender} failed: ${message}`);
  }
  const about = {
    date: new Date().toISOString().slice(0, 10),
    ...{ machine: machine(), doremi: VERSION, peers, options },
  };
  await mkdir(dirname(options.out), { recursive: true });
  const before = await readFile(options.out, "utf8").catch(() => "");
  await writeFileAtomic(options.out, reportOf(about, results) + readingOf(before));
  const goals = goalsOf(results);
  process.stdout.write(
    `${JSON.stringify({ bench: "train", ...about, peakGflops: machinePeak(results), goals, results })}\n`,
  );
  for (const result of results) {
    const names = new Set(result.runs.map(({ contender }) => contender));
    for (const name of names) {
      if (isSameWork(result, name)) continue;
      say(`${name} did other work than doremi: losses differ by ${differenceOf(result, name)}`);
      process.exitCode = 1;
    }
  }
}

async function versions(python: string): Promise<Record<string, string>> {
  const found = lastLine((await runProgram({ program: python, args: [PEERS, "versions"] })).stdout);
  for (const name of ["torch", "numpy"])
    if (!(name in (found as object))) throw new Error(`--python: ${name} must be installed there; it is not`);
  return found as Record<string, string>;
}

await runBench({ name: "bench:train", help: HELP, parse: parseOptions, measure });
