/** The figures as a Markdown page. Pure: names no file and no folder of the machine. */
import { goalsTable, spread, table } from "../markdown.ts";
import { median, megabytes } from "../statistics.ts";
import { dataName, goalsOf, runsOf, timesAsFast } from "./figures.ts";
import type { ContestResult, Run } from "./measure.ts";
import type { Options, Part } from "./options.ts";

export interface Circumstances {
  readonly date: string;
  /** processor, cores, memory, operating system, Node */
  readonly machine: string;
  readonly doremi: string;
  /** versions of the peers by package */
  readonly peers: Readonly<Record<string, string>>;
  readonly documents: number;
  readonly bytes: number;
  readonly domains: number;
  readonly options: Pick<Options, "runs" | "slowRuns" | "repetitions" | "workers">;
}

export function reportOf(about: Circumstances, results: readonly ContestResult[]): string {
  const ofPart = (part: string) => results.filter(({ contest }) => contest.part === part);
  const sections = [
    ["Goals", goalsTable(goalsOf(results))],
    ["Counting alone", counterTable(ofPart("counter"))],
    ["End to end", programTable(ofPart("end-to-end"))],
    ["Scaling", programTable(ofPart("scaling"))],
  ] as const;
  return [
    "# Counting tokens beside other programs",
    ...method(about, new Set(results.map(({ contest }) => contest.part))),
    ...sections.flatMap(([title, table]) => (table.length > 2 ? [`## ${title}`, table.join("\n")] : [])),
  ]
    .join("\n\n")
    .concat("\n");
}

function method(about: Circumstances, parts: ReadonlySet<Part>): string[] {
  const { date, machine, doremi, peers, documents, bytes, domains, options } = about;
  const { runs, slowRuns, repetitions, workers } = options;
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  const circumstances = `${date}; ${machine}; ${[`doremi ${doremi}`, ...versions].join(", ")}.`;
  const general =
    `Text: ${documents.toLocaleString("en")} documents of ${domains} domains, ${megabytes(bytes)} of UTF-8 (MB is a million bytes). ` +
    `Made by \`npm run bench:count\` in ${runs} rounds (${slowRuns} for tokenizers, datatrove and datasets): in each, every program runs once, ` +
    "as a process of its own, one after the other. A cell is the median of its runs, with the lowest and the highest behind it. " +
    "“Times as fast” is the other's time over doremi's in the same round, the median of the rounds.";
  const counter =
    "Counting alone: one thread, text in memory (bytes for doremi and gigatoken, strings for the others), the vocabulary loaded before. " +
    "The first pass begins with empty caches, and goals are judged by it; the second goes over the same text again. " +
    "tiktoken, tokenizers and gpt-tokenizer count every fourth document, and doremi beside them too.";
  const programs =
    `End to end: the whole program from its start to its exit, ${workers} workers, zstd Parquet files (row groups of 500 rows) to tokens per domain; ` +
    "datatrove's TokensCounter gives the total only. gigatoken reads by its own Parquet reader, and pyarrow tells the rows of each file; datasets maps with tokenizers. " +
    `“Repeated” is the text ${repetitions} times, in as many times the files, with ids of their own. Nothing of an earlier run is used. ` +
    "Memory is the most that the program and its children had resident together.";
  return [
    circumstances,
    general,
    ...(parts.has("counter") ? [counter] : []),
    ...(parts.size > 1 || !parts.has("counter") ? [programs] : []),
  ];
}

function counterTable(results: readonly ContestResult[]): string[] {
  const rows = results.flatMap((result) => {
    const { vocabulary, bytes, contenders } = result.contest;
    const [ours, ...peers] = contenders.map(({ name }) => name);
    return [ours!, ...peers].map((name) => {
      const runs = runsOf(result, name);
      const rate = (pass: number) =>
        spread(
          runs.map((run) => bytes / 1e6 / run.seconds[pass]!),
          1,
        );
      return [
        ...[vocabulary, dataName(result), name, rate(0), rate(1)],
        name === ours
          ? ""
          : `${timesAsFast(result, ours!, name, 0).toFixed(2)} / ${timesAsFast(result, ours!, name, 1).toFixed(2)}`,
        spread(
          runs.map((run) => run.loadSeconds!),
          2,
        ),
        tokensCell(runs, runsOf(result, ours!)),
      ];
    });
  });
  return table(
    [
      "vocabulary",
      "text",
      "program",
      "first pass MB/s",
      "second pass MB/s",
      "doremi times as fast (first / second)",
      "load s",
      "tokens",
    ],
    rows,
  );
}

function programTable(results: readonly ContestResult[]): string[] {
  const rows = results.flatMap((result) => {
    const { vocabulary, bytes, contenders } = result.contest;
    const names = contenders.map(({ name }) => name);
    const ours = result.contest.part === "scaling" ? names.at(-1)! : names[0]!;
    return names.map((name) => {
      const runs = runsOf(result, name);
      return [
        ...[`${vocabulary}, ${dataName(result)}`, name],
        spread(
          runs.map((run) => run.seconds[0]!),
          2,
        ),
        spread(
          runs.map((run) => bytes / 1e6 / run.seconds[0]!),
          1,
        ),
        name === ours ? "" : timesAsFast(result, ours, name).toFixed(2),
        ...[(run: Run) => run.peakBytes, (run: Run) => run.mainThreadSeconds].map((of, i) => {
          const known = runs.flatMap((run) => of(run) ?? []);
          return known.length === 0 ? "–" : i === 0 ? megabytes(median(known)) : median(known).toFixed(2);
        }),
        tokensCell(runs, runsOf(result, ours)),
      ];
    });
  });
  return table(["data", "program", "s", "MB/s", "times as fast", "memory", "main thread s", "tokens"], rows);
}

/** Tokens of all runs; says so where they are not ours. */
function tokensCell(runs: readonly Run[], ours: readonly Run[]): string {
  const counts = [...new Set(runs.map(({ tokens }) => tokens))];
  const same = counts.length === 1 && ours.every(({ tokens }) => tokens === counts[0]);
  return counts.map((count) => count.toLocaleString("en")).join(", ") + (same ? "" : " (differs)");
}
