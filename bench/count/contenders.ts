/** Who counts against whom on what: all runs of the benchmark, as data. Starts nothing. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "../process.ts";
import type { TextFile } from "./corpus.ts";
import type { Options, Part, VocabularyName } from "./options.ts";
import { tokenizerArgument } from "./vocabularies.ts";

export interface Contender {
  readonly name: string;
  /** rounds that it takes part in */
  readonly rounds: number;
  /** @param scratch a fresh folder of this run */
  command(scratch: string): Command;
}

/** Programs that do the same work, in turn. */
export interface Contest {
  readonly part: Part;
  readonly vocabulary: VocabularyName;
  readonly data: "whole" | "sample" | "repeated";
  readonly bytes: number;
  readonly contenders: readonly Contender[];
}

/** What the programs read. */
export interface Inputs {
  /** of the vocabularies */
  readonly vocabularies: string;
  readonly whole: TextFile;
  readonly sample: TextFile;
  /** folders of Parquet files by domain; null without pyarrow */
  readonly parquet: { readonly whole: string; readonly repeated: string } | null;
}

/** The vocabulary of the end-to-end and scaling parts. */
export const END_TO_END_VOCABULARY = "cl100k";
export const GPT_TOKENIZER_VOCABULARIES: readonly VocabularyName[] = ["r50k", "cl100k", "o200k"];

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const MAIN = file("../../dist/cli/main.js");

/** @param installed packages of the Python given */
export function planContests(options: Options, inputs: Inputs, installed: ReadonlySet<string>): Contest[] {
  const contests: Contest[] = [];
  if (options.parts.includes("counter")) {
    for (const vocabulary of options.vocabularies)
      contests.push(...counterContests(options, inputs, vocabulary, installed));
  }
  const { parquet, whole } = inputs;
  if (parquet === null) return contests;
  const base = { vocabulary: END_TO_END_VOCABULARY, bytes: whole.bytes } as const;
  const repeated = { ...base, data: "repeated", bytes: whole.bytes * options.repetitions } as const;
  if (options.parts.includes("end-to-end")) {
    const contenders = (data: string) => endToEnd(options, inputs, data, installed);
    contests.push({ ...base, part: "end-to-end", data: "whole", contenders: contenders(parquet.whole) });
    contests.push({ ...repeated, part: "end-to-end", contenders: contenders(parquet.repeated) });
  }
  if (options.parts.includes("scaling")) {
    const contenders = [1, options.workers].map((workers) => doremi(options, inputs, parquet.repeated, workers));
    contests.push({ ...repeated, part: "scaling", contenders });
  }
  return contests;
}

function counterContests(
  { python, runs, slowRuns }: Options,
  { vocabularies, whole, sample }: Inputs,
  vocabulary: VocabularyName,
  installed: ReadonlySet<string>,
): Contest[] {
  const inNode = (name: string, text: TextFile, given: string): Contender => ({
    name,
    rounds: runs,
    command: () => ({
      program: process.execPath,
      args: ["--import", "tsx", file("counter.ts"), name, given, text.path, text.index],
    }),
  });
  const inPython = (name: string, text: TextFile, rounds = runs): Contender => ({
    name,
    rounds,
    command: () => ({
      program: python!,
      args: [file("peers.py"), "count", name, vocabulary, vocabularies, text.path, text.index],
    }),
  });
  const ours = (text: TextFile) => inNode("doremi", text, tokenizerArgument(vocabularies, vocabulary));
  const slow = [
    ...(installed.has("tiktoken") && vocabulary !== "llama2" ? [inPython("tiktoken", sample)] : []),
    ...(GPT_TOKENIZER_VOCABULARIES.includes(vocabulary) ? [inNode("gpt-tokenizer", sample, vocabulary)] : []),
    ...(installed.has("tokenizers") ? [inPython("tokenizers", sample, Math.min(runs, slowRuns))] : []),
  ];
  const fast = installed.has("gigatoken") ? [inPython("gigatoken", whole)] : [];
  return [
    { part: "counter", vocabulary, data: "whole", bytes: whole.bytes, contenders: [ours(whole), ...fast] },
    { part: "counter", vocabulary, data: "sample", bytes: sample.bytes, contenders: [ours(sample), ...slow] },
  ];
}

function endToEnd(options: Options, inputs: Inputs, data: string, installed: ReadonlySet<string>): Contender[] {
  const peer = (name: string, rounds: number): Contender => ({
    name,
    rounds,
    command: (scratch) => ({
      program: options.python!,
      args: [
        ...[file("peers.py"), "end-to-end", name, END_TO_END_VOCABULARY, inputs.vocabularies],
        ...[data, String(options.workers), scratch],
      ],
      env: { HF_HOME: scratch },
    }),
  });
  return [
    doremi(options, inputs, data, options.workers),
    ...(installed.has("gigatoken") ? [peer("gigatoken", options.runs)] : []),
    ...["datatrove", "datasets"]
      .filter((name) => installed.has(name))
      .map((name) => peer(name, Math.min(options.runs, options.slowRuns))),
  ];
}

/** The program as built; without --output it starts from nothing and keeps nothing. */
function doremi({ runs }: Options, { vocabularies }: Inputs, data: string, workers: number): Contender {
  return {
    name: workers === 1 ? "doremi, 1 worker" : `doremi, ${workers} workers`,
    rounds: runs,
    command: () => ({
      program: process.execPath,
      args: [
        ...[MAIN, "count", "--data", join(data, "{domain}/*.parquet")],
        ...["--tokenizer", tokenizerArgument(vocabularies, END_TO_END_VOCABULARY)],
        ...["--workers", String(workers), "--log-format", "json"],
      ],
    }),
  };
}
