/** The figures as a Markdown page. Pure: names no file and no folder of the machine. */
import { goalsTable, spread, table } from "../markdown.ts";
import { median, megabytes } from "../statistics.ts";
import { caseOf, describeCase, limitMs } from "./cases.ts";
import { describeContest, OURS, PEAK } from "./contenders.ts";
import {
  differenceOf,
  goalsOf,
  isSameWork,
  machinePeak,
  medianPeak,
  runsOf,
  timeOf,
  timesAsFast,
  weightsAgreement,
} from "./figures.ts";
import type { ContestResult } from "./measure.ts";
import type { Options } from "./options.ts";

export interface Circumstances {
  readonly date: string;
  /** processor, cores, memory, operating system, Node */
  readonly machine: string;
  readonly doremi: string;
  /** versions by package */
  readonly peers: Readonly<Record<string, string>>;
  readonly options: Pick<Options, "runs" | "threads" | "recipeSteps">;
}

export function reportOf(about: Circumstances, results: readonly ContestResult[]): string {
  const peak = machinePeak(results);
  const ofPart = (part: string) => results.filter(({ contest }) => contest.part === part);
  const sections = [
    ["Goals", goalsTable(goalsOf(results))],
    ["A step", ofPart("steps").flatMap((result, i) => stepsTable(result, peak, i === 0))],
    ["DoReMi's step", ofPart("proxy").flatMap((result, i) => stepsTable(result, undefined, i === 0))],
    ["Opening a session for 280 million parameters", ofPart("opening").flatMap(secondsTable)],
    [
      "From token stores to domain weights",
      ofPart("recipe").flatMap((result, i) => recipeLines(result, about.options.recipeSteps, i === 0)),
    ],
    ["Not run", results.flatMap(failureLines)],
  ] as const;
  return [
    "# Training beside PyTorch",
    ...method(about, peak, results),
    ...sections.flatMap(([title, lines]) => (lines.length > 0 ? [`## ${title}`, lines.join("\n")] : [])),
  ]
    .join("\n\n")
    .concat("\n");
}

function method(
  { date, machine, doremi, peers, options }: Circumstances,
  peak: number | undefined,
  results: readonly ContestResult[],
): string[] {
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  const cases = results.flatMap(({ contest }) => (contest.part === "steps" ? [contest.case] : []));
  const described = cases.map((name) => `${name}: ${describeCase(caseOf[name])}`).join("; ");
  return [
    `${date}; ${machine}; ${[`doremi ${doremi}`, ...versions].join(", ")}; ${options.threads} threads each.`,
    `Made by \`npm run bench:train\` in ${options.runs} rounds: in each, every program runs once, as a process of its own, one after the other. ` +
      "A run's time is the median of its steps without the first two; a cell is the median of the runs, with the lowest and the highest behind it. " +
      "“Times as fast” is the other's time over doremi's in the same round, the median of the rounds. " +
      "Memory is the most that the process had resident (MB is a million bytes). “Others” is the largest share of the processors that other programs had during a run.",
    `GPT-2 with the same initial weights and batches on both sides${described === "" ? "" : ` (${described})`}, AdamW (fused in torch), gradients clipped by norm. ` +
      "“Difference” is the largest of the first four losses, and of the domain weights; above 1e-4 a program is not compared.",
    ...(peak
      ? [
          `The limit is the time of the step's floating-point operations, attention counted in full, at ${peak.toFixed(0)} GFLOP/s: the best of all products of 2048 × 2048 matrices in these runs.`,
        ]
      : []),
  ];
}

function stepsTable(result: ContestResult, peak: number | undefined, withHead: boolean): string[] {
  const { contest } = result;
  if (contest.part !== "steps" && contest.part !== "proxy") return [];
  const names = contest.contenders.map(({ name }) => name).filter((name) => name !== PEAK);
  const limit = peak && limitMs(caseOf[contest.case], peak);
  const rows = names
    .filter((name) => runsOf(result, name).length > 0)
    .map((name) => {
      const times = runsOf(result, name).map(timeOf);
      const memory = medianPeak(result, name);
      return [
        ...[contest.case, programName(contest.part, name), spread(times, 0)],
        limit ? (median(times) / limit).toFixed(2) : "",
        name === OURS ? "" : timesAsFast(result, name).toFixed(2),
        memory === null ? "–" : megabytes(memory),
        name === OURS
          ? ""
          : `${differenceOf(result, name).toExponential(0)}${isSameWork(result, name) ? "" : " **differs**"}`,
        otherShare(result, name),
      ];
    });
  const head = ["case", "program", "ms a step", "times the limit", "times as fast", "memory", "difference", "others"];
  return table(head, rows).slice(withHead ? 0 : 2);
}

function programName(part: "steps" | "proxy", name: string): string {
  if (part === "steps" || name.endsWith("cached")) return name;
  return name === OURS ? `${name}, cached` : `${name}, resident`;
}

function otherShare(result: ContestResult, contender: string): string {
  const shares = runsOf(result, contender).flatMap((run) => run.otherShare ?? []);
  return shares.length === 0 ? "–" : `${(Math.max(...shares) * 100).toFixed(1)} %`;
}

function secondsTable(result: ContestResult): string[] {
  const names = result.contest.contenders.map(({ name }) => name).filter((name) => runsOf(result, name).length > 0);
  return table(
    ["program", "s", "times as fast", "memory", "others"],
    names.map((name) => {
      const memory = medianPeak(result, name);
      return [
        ...[name, spread(runsOf(result, name).map(timeOf), 2)],
        name === OURS ? "" : timesAsFast(result, name).toFixed(2),
        ...[memory === null ? "–" : megabytes(memory), otherShare(result, name)],
      ];
    }),
  );
}

function recipeLines(result: ContestResult, recipeSteps: number, isFirst: boolean): string[] {
  const { contest } = result;
  if (contest.part !== "recipe") return [];
  const agreement = weightsAgreement(result);
  return [
    ...(isFirst
      ? [
          "Three rounds of a reference and a proxy, each program from its start to its exit, a seed for each run; the reference runs in every step of the proxy. With r50k torch has the whole vocabulary, as the official code does, and doremi leaves out the ids that do not occur (`train.vocabulary: occurring`).",
        ]
      : []),
    "",
    `### ${contest.recipe === "r50k" ? "r50k: 50,257 ids" : "4,096 ids"}, ${recipeSteps} steps of each model`,
    "",
    ...secondsTable(result),
    ...(agreement
      ? [
          "",
          `Learned weights after the last round: a domain's mean differs by ${agreement.between.toFixed(4)} at most between doremi and torch, and by ${agreement.seeds.toFixed(4)} at most between two seeds of one program.`,
        ]
      : []),
  ];
}

function failureLines({ contest, failures }: ContestResult): string[] {
  return failures.map(
    ({ contender, message }) => `- ${describeContest(contest)}, ${contender}: ${withoutPaths(message)}`,
  );
}

/** What a program said last may name files of the machine. */
function withoutPaths(message: string): string {
  return message.replace(/(?<![\w.])\/[\w./+-]+/g, (path) => path.split("/").at(-1)!);
}
