/**
 * Measures resampling at the scale of a large corpus, of which there is nothing but counts: time, memory and sizes of the
 * files. `npm run bench:manifest -- --help` says how; figures go to stdout as JSON.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../../src/lib/atomic-write.ts";
import { VERSION } from "../../src/lib/version.ts";
import { runBench } from "../command.ts";
import { machine } from "../machine.ts";
import { readingOf } from "../markdown.ts";
import { lastLine, runProgram } from "../process.ts";
import { writeCorpus } from "./corpus.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import type { Figures, Measured } from "./program.ts";
import { goalsOf, type PartRun, reportOf } from "./report.ts";

const PROGRAM = fileURLToPath(new URL("program.ts", import.meta.url));

async function measure(options: Options, folder: string): Promise<void> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const counts = join(folder, "count");
  await mkdir(counts);
  const corpus = await writeCorpus(counts, options);
  const [tokenizer] = corpus.count.tokenizers;
  const tokens = corpus.count.domains.reduce((sum, domain) => sum + domain.tokens[tokenizer!.name]!, 0);
  const measured: Measured = { corpus, budgetTokens: Math.floor((tokens * options.budgetPercent) / 100) };
  await writeFile(join(folder, "input.json"), JSON.stringify(measured));
  say(
    `${options.documents} documents of ${options.shards} shards, ${(tokens / 1e9).toFixed(2)} thousand million tokens`,
  );
  const runs: PartRun[] = [];
  for (let round = 0; round < options.runs; round++) {
    for (const part of options.parts) {
      const args = ["--import", "tsx", PROGRAM, folder, part];
      const { stdout, peakBytes, otherShare } = await runProgram({ program: process.execPath, args });
      const figures = lastLine(stdout) as Figures;
      runs.push({ part, round, peakBytes, otherShare, ...figures });
      const memory = peakBytes === null ? "" : `, ${Math.round(peakBytes / 1e6)} MB`;
      say(
        `${part}, round ${round + 1}: ${figures.seconds.toFixed(1)} s, of processors ${figures.cpuSeconds.toFixed(1)} s${memory}`,
      );
    }
    for (const part of options.parts) await rm(join(folder, part), { recursive: true, force: true });
  }
  const { out, ...size } = options;
  const about = {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    doremi: VERSION,
    options: size,
    tokens,
  };
  if (out !== null) {
    await mkdir(dirname(out), { recursive: true });
    const before = await readFile(out, "utf8").catch(() => "");
    await writeFileAtomic(out, reportOf(about, runs) + readingOf(before));
  }
  process.stdout.write(`${JSON.stringify({ bench: "manifest", ...about, goals: goalsOf(about, runs), runs })}\n`);
}

await runBench({ name: "bench:manifest", help: HELP, parse: parseOptions, measure });
