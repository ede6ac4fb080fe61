/**
 * Reads a run's folder into the data of a report. Whatever the run has not come to is left out; what is there and cannot be
 * read is named among the problems, so that a failed or damaged run can be looked at too.
 */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { z } from "zod";
import { DoremiError } from "../../lib/errors.ts";
import { VERSION } from "../../lib/version.ts";
import { type DoneMark, OutputFolder } from "../../pipeline/output-folder.ts";
import type { StatusMessage } from "../../pipeline/status.ts";
import { countOutput } from "../../stages/count/contract.ts";
import { evaluateOutput } from "../../stages/evaluate/contract.ts";
import { mainOutput } from "../../stages/main/contract.ts";
import { mixtureOutput } from "../../stages/mixture/contract.ts";
import { proxyOutput } from "../../stages/proxy/contract.ts";
import { referenceOutput } from "../../stages/reference/contract.ts";
import { resampleOutput } from "../../stages/resample/contract.ts";
import { RunFollower } from "../live/follow.ts";
import type { LiveState } from "../live/state.ts";
import { REPORT_VERSION, type ReportData, type ReportEvaluation, type ReportStage } from "./contract.ts";
import { readFlow } from "./flow.ts";
import { readLengths } from "./lengths.ts";
import { readManifestOf } from "./manifest.ts";
import type { StageOutputs } from "./outputs.ts";
import { reportTrainings } from "./trainings.ts";
import { reportRounds, reportWeights } from "./weights.ts";

/** Characters of settings and messages that a page is to hold. */
const SETTINGS_LIMIT = 200_000;
const MESSAGES_LIMIT = 500;

/**
 * @param folder of a run: its output
 * @throws DoremiError missing-folder, no-run
 */
export async function readReportData(folder: string): Promise<ReportData> {
  await checkRunFolder(folder);
  return new ReportReader(folder).read();
}

/** Reads again and again what a run that goes on has come to, each finished stage once. */
export class ReportReader {
  readonly #folder: string;
  readonly #follower: RunFollower;
  #kept: { readonly key: string; readonly finished: Finished } | undefined;

  constructor(folder: string) {
    this.#folder = resolve(folder);
    this.#follower = new RunFollower(this.#folder);
  }

  async read(): Promise<ReportData> {
    const live = await this.#follower.read();
    return this.dataOf(live);
  }

  async dataOf(live: LiveState): Promise<ReportData> {
    const key = await finishedKey(this.#folder);
    if (this.#kept?.key !== key) this.#kept = { key, finished: await readFinished(this.#folder) };
    return assemble(live, this.#kept.finished);
  }
}

/** What does not change until another stage is done. */
interface Finished {
  readonly marks: ReadonlyMap<string, DoneMark>;
  readonly outputs: StageOutputs;
  readonly lengths: ReportData["lengths"];
  readonly flow: ReportData["flow"];
  readonly problems: readonly string[];
}

/** @throws DoremiError missing-folder, no-run */
export async function checkRunFolder(path: string): Promise<void> {
  const folder = resolve(path);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new DoremiError(
      "missing-input",
      "missing-folder",
      `${folder}: must be the output folder of a run, and there is ${found ? "a file" : "nothing"} of this name; name the folder that the pipeline file calls output`,
      { file: folder },
    );
  }
  const entries = await readdir(folder);
  if (entries.includes(".doremi") || entries.some((name) => name === "count")) return;
  throw new DoremiError(
    "missing-input",
    "no-run",
    `${folder}: must be the output folder of a run, and no run has written into it; name the folder that the pipeline file calls output`,
    { file: folder },
  );
}

/** Changes when a stage is done or done again. */
async function finishedKey(folder: string): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).sort();
  const marks = await Promise.all(
    names.map(async (name) => {
      const mark = await stat(join(folder, name, "done.json")).catch(() => undefined);
      return mark ? `${name} ${mark.ino} ${mark.mtimeMs}` : "";
    }),
  );
  return marks.filter((mark) => mark !== "").join("\n");
}

async function readFinished(folder: string): Promise<Finished> {
  const problems: string[] = [];
  const output = new OutputFolder(folder);
  const marks = new Map<string, DoneMark>();
  for (const name of (await readdir(folder)).sort()) {
    if (!(await stat(join(folder, name, "done.json")).catch(() => undefined))) continue;
    const mark = await output.done(name).catch(() => undefined);
    if (mark) marks.set(name, mark);
    else problems.push(`${name}: its files are not those that its done.json names, so it is left out`);
  }
  const parse = <T>(name: string, schema: z.ZodType<T>): T | undefined => {
    const mark = marks.get(name);
    if (!mark) return undefined;
    const { success, data } = schema.safeParse(mark.output);
    if (!success) problems.push(`${name}: was written by another version of doremi, and is left out`);
    return data;
  };
  const all = <T>(stage: string, schema: z.ZodType<T>): Map<string, T> =>
    new Map(
      [...marks].flatMap(([name, mark]) => {
        const found =
          mark.stage === stage || name.startsWith(`${stage}-`) || name === stage ? parse(name, schema) : undefined;
        return found === undefined ? [] : [[name, found] as const];
      }),
    );
  const count = parse("count", countOutput);
  const manifest = marks.has("resample") ? await readManifestOf(join(folder, "resample"), problems) : undefined;
  const outputs: StageOutputs = {
    count,
    references: all("reference", referenceOutput),
    proxies: all("proxy", proxyOutput),
    mains: all("main", mainOutput),
    mixture: parse("mixture", mixtureOutput),
    resample: parse("resample", resampleOutput),
    evaluate: parse("evaluate", evaluateOutput),
    manifest,
  };
  const rule = manifest?.domainRule ?? { map: null, listed: null, unlisted: "drop" as const };
  const tried = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const counts = join(folder, "count");
  const lengths = count && (await tried("document lengths", () => readLengths(counts, count, rule)));
  const flow = count && manifest && (await tried("flow of tokens", () => readFlow(counts, count, manifest)));
  return { marks, outputs, lengths: lengths ?? null, flow: flow ?? null, problems };
}

function assemble(live: LiveState, { marks, outputs, lengths, flow, problems }: Finished): ReportData {
  const { count, manifest, evaluate, proxies, references } = outputs;
  const domains =
    count?.domains.map(({ name }) => name) ??
    manifest?.domains.map(({ name }) => name) ??
    live.trainings[0]?.domains.map((name) => name) ??
    [];
  const { status } = live;
  return {
    format: "doremi-report",
    version: REPORT_VERSION,
    madeAt: new Date().toISOString(),
    madeBy: `doremi ${VERSION}`,
    run: {
      folder: live.folder,
      pipeline: live.pipeline,
      state: live.state,
      error: status?.error ?? null,
      startedAt: earliest(live) ?? status?.startedAt ?? null,
      endedAt: latest(live) ?? status?.endedAt ?? null,
      command: status?.command ?? [],
      doremi: status?.doremi ?? manifest?.generator.replace("@", " ") ?? null,
      node: status?.node ?? null,
      host: status?.process.host ?? null,
    },
    domains,
    counts: count
      ? {
          documents: count.domains.map(({ documents }) => documents),
          bytes: count.domains.map(({ bytes }) => bytes),
          tokenizers: count.tokenizers.map(({ name, fingerprint, vocabularySize }) => ({
            ...{ name, fingerprint, vocabularySize },
            tokens: count.domains.map(({ tokens }) => tokens[name] ?? 0),
          })),
          shards: count.shards.shards,
        }
      : null,
    lengths,
    trainings: reportTrainings(live.trainings, outputs, domains),
    weights: reportWeights(outputs, live.trainings, domains),
    rounds: reportRounds(outputs, domains),
    evaluation: evaluate ? reportEvaluation(evaluate) : null,
    flow,
    stages: live.stages.map((entry): ReportStage => {
      const mark = marks.get(entry.stage);
      return {
        ...entry,
        version: mark?.version ?? null,
        key: mark?.key ?? null,
        files: mark?.files.length ?? null,
        bytes: mark?.files.reduce((sum, { size }) => sum + size, 0) ?? null,
      };
    }),
    messages: messagesOf(live, [...marks], [...references, ...proxies, ...outputs.mains]),
    settings: settingsText(status?.settings),
    hashes: hashesOf(marks, outputs),
    problems,
  };
}

function reportEvaluation(evaluate: NonNullable<StageOutputs["evaluate"]>): ReportEvaluation {
  const { steps, tokensEach, seeds, confidence, domains, mixtures, comparisons, warnings } = evaluate;
  const estimate = ({ mean, interval }: { mean: number; interval: { low: number; high: number } | null }) => ({
    ...{ mean, low: interval?.low ?? null, high: interval?.high ?? null },
  });
  return {
    ...{ steps, tokensEach, confidence, warnings },
    seeds: seeds.length,
    domains: domains.map(({ name }) => name),
    mixtures: mixtures.map(({ name, sameAs, domains: own }) => ({
      ...{ name, sameAs },
      loss: own.map(({ loss }) => loss && estimate(loss)),
    })),
    comparisons: comparisons.map(({ baseline, candidate, conclusion, domains: compared }) => ({
      ...{ baseline, candidate, conclusion },
      domains: compared.map(({ name, verdict, difference }) => ({ name, verdict, ...estimate(difference) })),
    })),
  };
}

/** What the run said, or where an earlier version said nothing: what the stages kept, without the time. */
function messagesOf(
  live: LiveState,
  marks: readonly (readonly [string, DoneMark])[],
  trainings: readonly (readonly [
    string,
    { readonly warnings: readonly { code: string; message: string; step: number; domain?: string }[] },
  ])[],
): ReportData["messages"] {
  const kept = [
    ...trainings.flatMap(([stage, { warnings }]) =>
      warnings.map((warning) => ({ at: null, stage, kind: "warning" as const, ...warning })),
    ),
    ...marks.flatMap(([stage, { output }]) =>
      notesOf(output).map((message) => ({ at: null, stage, kind: "note" as const, message })),
    ),
  ];
  const known = new Set(kept.map(({ stage, message }) => `${stage}\n${message}`));
  const said = live.messages.filter(({ stage, message }: StatusMessage) => !known.has(`${stage}\n${message}`));
  return [...kept, ...said].slice(0, MESSAGES_LIMIT);
}

function notesOf(output: unknown): string[] {
  const { notes } = (output ?? {}) as { notes?: unknown };
  return Array.isArray(notes) ? notes.filter((note) => typeof note === "string") : [];
}

function settingsText(settings: unknown): string | null {
  if (settings === undefined || settings === null) return null;
  const text = JSON.stringify(settings, null, 2);
  return text.length <= SETTINGS_LIMIT
    ? text
    : `${text.slice(0, SETTINGS_LIMIT)}\n… (${text.length} characters in all)`;
}

function hashesOf(marks: ReadonlyMap<string, DoneMark>, { count, manifest, references, proxies }: StageOutputs) {
  const hashes: [string, string][] = [];
  for (const tokenizer of count?.tokenizers ?? []) hashes.push([`tokenizer ${tokenizer.name}`, tokenizer.fingerprint]);
  for (const [stage, { key }] of marks) hashes.push([`stage key ${stage}`, key]);
  for (const [stage, { model }] of [...references, ...proxies]) hashes.push([`model ${stage}`, model.sha256]);
  const file = marks.get("resample")?.files.find(({ path }) => path === "manifest.json");
  if (file) hashes.push(["manifest.json", file.sha256]);
  if (manifest) hashes.push([manifest.selection.path, manifest.selection.sha256]);
  return hashes;
}

/** Of the work itself, where runs say when it was done. */
function earliest({ stages }: LiveState): string | undefined {
  return stages.flatMap(({ startedAt }) => startedAt ?? []).sort()[0];
}

function latest({ stages, state }: LiveState): string | undefined {
  if (state === "running") return undefined;
  return stages
    .flatMap(({ endedAt }) => endedAt ?? [])
    .sort()
    .at(-1);
}
