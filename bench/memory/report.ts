/** The page of bench:memory: figures, and what a person wrote below them, which is kept. Pure. */
import { table } from "../markdown.ts";
import type { MemorySample } from "../process.ts";
import { median, megabytes } from "../statistics.ts";
import type { Options, Trial } from "./options.ts";

/** A count that ran to an end of some kind. */
export interface TrialRun {
  readonly trial: Trial;
  readonly files: number;
  /** --max-memory; null: the default */
  readonly maxMemoryMb: number | null;
  /** exit status; null: a signal */
  readonly status: number | null;
  /** of the failure, by its code; null where there was none */
  readonly refused: string | null;
  readonly documents: number;
  readonly textBytes: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly peakBytes: number | null;
  readonly samples: readonly MemorySample[];
}

export interface About {
  readonly date: string;
  readonly machine: string;
  readonly doremi: string;
  readonly options: Omit<Options, "out" | "scratch" | "python">;
}

/** Resident memory in the first, the middle and the last third of the samples, each by its median; null for fewer than three. */
export function courseOf(samples: readonly MemorySample[]): [number, number, number] | null {
  if (samples.length < 3) return null;
  const third = samples.length / 3;
  const part = (i: number) =>
    samples.slice(Math.round(i * third), Math.round((i + 1) * third)).map(({ bytes }) => bytes);
  return [median(part(0)), median(part(1)), median(part(2))];
}

export function reportOf({ date, machine, doremi }: About, runs: readonly TrialRun[]): string {
  const count = (value: number) => value.toLocaleString("en-US");
  const rows = runs.map((run) => [
    run.trial,
    count(run.files),
    count(run.documents),
    megabytes(run.textBytes),
    run.maxMemoryMb === null ? "default" : `${run.maxMemoryMb} MB`,
    run.refused ?? (run.status === 0 ? "counted" : `**ended with ${run.status}**`),
    run.seconds.toFixed(0),
    run.peakBytes === null ? "" : megabytes(run.peakBytes),
    courseOf(run.samples)?.map(megabytes).join(", ") ?? "",
  ]);
  return [
    "# Memory of counting",
    "",
    `${date}; ${machine}; doremi ${doremi}. Made by \`npm run bench:memory\`, with the tokenizer r50k, two workers and no cache.`,
    "",
    "Each trial is a `doremi count` of the built program in a process of its own. “Most” is the most that the whole process had",
    "resident, with Node, the tokenizers and the shards (MB is a million bytes); “course” its median in the first, the middle and",
    "the last third of the time, looked at every two seconds.",
    "",
    ...table(["trial", "files", "documents", "text", "--max-memory", "outcome", "s", "most", "course"], rows),
    "",
  ].join("\n");
}
