/**
 * Measures counting beside other programs: alone from memory, from zstd Parquet to counts per domain, one worker against
 * two. `npm run bench:count -- --help` says how; figures go to bench/results/count.md.
 */
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../../src/lib/atomic-write.ts";
import { VERSION } from "../../src/lib/version.ts";
import { runBench } from "../command.ts";
import { machine } from "../machine.ts";
import { lastLine, runProgram } from "../process.ts";
import { END_TO_END_VOCABULARY, planContests } from "./contenders.ts";
import { prepareText, type TextIndex } from "./corpus.ts";
import { type ContestResult, runContest } from "./measure.ts";
import { HELP, type Options, parseOptions, type VocabularyName } from "./options.ts";
import { reportOf } from "./report.ts";
import { writePeerVocabularies } from "./vocabularies.ts";

const PEERS = fileURLToPath(new URL("peers.py", import.meta.url));

async function measure(options: Options, folder: string): Promise<void> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const { whole, sample } = await prepareText(options.patterns, options.maxBytes, folder);
  const { domains }: TextIndex = JSON.parse(await readFile(whole.index, "utf8"));
  say(`${whole.documents} documents, ${(whole.bytes / 1e6).toFixed(1)} MB`);
  await writePeerVocabularies(folder, [...new Set<VocabularyName>([...options.vocabularies, END_TO_END_VOCABULARY])]);
  const peers = options.python === null ? {} : await python<Record<string, string>>(options.python, "versions");
  const installed = new Set(Object.keys(peers));
  let parquet: { whole: string; repeated: string } | null = null;
  if (options.python !== null && installed.has("pyarrow") && options.parts.some((part) => part !== "counter")) {
    parquet = { whole: join(folder, "once"), repeated: join(folder, "repeated") };
    await python(options.python, "write", whole.path, whole.index, parquet.whole, "1");
    await python(options.python, "write", whole.path, whole.index, parquet.repeated, String(options.repetitions));
  }
  const results: ContestResult[] = [];
  for (const contest of planContests(options, { vocabularies: folder, whole, sample, parquet }, installed)) {
    results.push(
      await runContest(contest, folder, ({ part, vocabulary, data }, { contender, round, seconds, tokens }) =>
        say(
          `${part} ${vocabulary} ${data}: ${contender}, round ${round + 1}: ${seconds.map((s) => s.toFixed(2)).join(", ")} s, ${tokens} tokens`,
        ),
      ),
    );
  }
  const about = {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    doremi: VERSION,
    peers: { ...peers, ...(await nodePeer()) },
    documents: whole.documents,
    bytes: whole.bytes,
    domains: domains.length,
    options,
  };
  await mkdir(dirname(options.out), { recursive: true });
  await writeFileAtomic(options.out, reportOf(about, results));
}

async function python<T>(program: string, ...args: string[]): Promise<T> {
  return lastLine((await runProgram({ program, args: [PEERS, ...args] })).stdout) as T;
}

async function nodePeer(): Promise<Record<string, string>> {
  const manifest = fileURLToPath(new URL("../../node_modules/gpt-tokenizer/package.json", import.meta.url));
  return { "gpt-tokenizer": JSON.parse(await readFile(manifest, "utf8")).version };
}

await runBench({ name: "bench:count", help: HELP, parse: parseOptions, measure });
