/**
 * A count divided among machines. Each task counts a part of the shards into a folder of its own, an output folder like
 * any other, so that it is done once, goes on after an interruption, and is refused to two at the same time:
 *
 *     <output>/parts/00003-of-00008/discover, count    the part's stages
 *     <output>/parts/00003-of-00008/part.json          what the part is of: its mark that it is done
 *
 * Merging puts parts together that follow each other, in any grouping, to the same bytes; all of them give what one
 * machine would have written.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import { canonicalJson, sha256Json } from "../lib/hash.ts";
import { writeJsonLines } from "../lib/json-lines.ts";
import { type CountOutput, countInput, countOutput } from "../stages/count/contract.ts";
import { mergedCount } from "../stages/count/run.ts";
import { type DiscoverOutput, discoverInput, discoverOutput, type FilesRange } from "../stages/discover/contract.ts";
import type { Part } from "../stages/discover/partition.ts";
import { discover, readShards, SHARDS } from "../stages/discover/run.ts";
import type { Stage } from "../stages/stage.ts";
import { bindPart, countSettingsOf, discoverInputOf } from "./bindings.ts";
import { definePipeline, type Pipeline } from "./load.ts";
import { type DoneMark, OutputFolder } from "./output-folder.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { refusePublishing } from "./publish.ts";
import { type RunOptions, runInFolder } from "./run.ts";
import type { BoundStage, Outputs, StageReport } from "./runner.ts";
import { checkSkipped } from "./skipped.ts";

const RECORD = "part.json";
/** In the output folder, the folders of the parts. */
export const PARTS = "parts";

/** What of the settings must be the same in all parts: all that a count follows from but the shards. */
const settings = z.strictObject({
  pipeline: z.string(),
  discover: discoverInput.omit({ part: true }),
  count: countInput.pick({
    tokenizers: true,
    textColumn: true,
    domainColumn: true,
    transform: true,
    onBadShard: true,
    onBadDocument: true,
  }),
  maxSkipped: z.number(),
});

const record = z.strictObject({
  doremi: z.literal("part"),
  version: z.literal(1),
  settings,
  /** of the files of the whole corpus */
  start: z.int(),
  end: z.int(),
  files: z.int(),
  corpus: z.string(),
  /** keys of the stages that it speaks of */
  keys: z.strictObject({ discover: z.string(), count: z.string() }),
});

type PartSettings = z.output<typeof settings>;
type PartRecord = z.output<typeof record>;

export interface PartResult {
  readonly status: "done" | "unchanged";
  /** absolute path of the part's folder */
  readonly output: string;
  readonly part: Part;
  readonly range: FilesRange;
  readonly count: CountOutput;
}

/** Where a part of a pipeline's count is, with so many parts that their names sort. */
export function partFolder(output: string, { index, of }: Part): string {
  return join(output, PARTS, `${padded(index)}-of-${padded(of)}`);
}

const padded = (number: number) => String(number).padStart(5, "0");

function settingsOf(prepared: Prepared): PartSettings {
  return {
    pipeline: prepared.pipeline.config.name,
    discover: discoverInputOf(prepared),
    count: countSettingsOf(prepared),
    maxSkipped: prepared.pipeline.config.data.maxSkipped,
  };
}

/**
 * Counts a part of the pipeline's shards into the part's folder.
 * @throws DoremiError
 */
export async function countPart(
  pipeline: Pipeline,
  part: Part,
  options: Pick<RunOptions, "signal" | "onEvent">,
): Promise<PartResult> {
  refusePublishing(pipeline, "a part of a count");
  const prepared = await prepare(pipeline);
  await new OutputFolder(pipeline.output).claim(pipeline.config.name);
  const output = partFolder(pipeline.output, part);
  const { status, outputs } = await runInFolder(pipeline, bindPart(prepared, part), options, { output });
  await writeRecord(output, settingsOf(prepared));
  return { status, output, part, ...resultOf(outputs) };
}

function resultOf(outputs: Outputs) {
  return { range: (outputs.discover as DiscoverOutput).part!, count: outputs.count as CountOutput };
}

/** Says of finished stages what they are a part of. */
async function writeRecord(output: string, settings: PartSettings): Promise<void> {
  const marks = await marksOf(output);
  const text = `${canonicalJson({
    doremi: "part",
    version: 1,
    settings,
    ...marks!.discovered.part!,
    keys: keysOf(marks!),
  } satisfies PartRecord)}\n`;
  const path = join(output, RECORD);
  if ((await readFile(path, "utf8").catch(() => "")) !== text) await writeFileAtomic(path, text);
}

interface Marks {
  readonly discover: DoneMark;
  readonly count: DoneMark;
  readonly discovered: DiscoverOutput;
  readonly counted: CountOutput;
}

/** Of a part's stages that are done; undefined where one is not. */
async function marksOf(path: string): Promise<Marks | undefined> {
  const folder = new OutputFolder(path);
  const [found, done] = await Promise.all([folder.done("discover"), folder.done("count")]);
  const discovered = discoverOutput.safeParse(found?.output);
  const counted = countOutput.safeParse(done?.output);
  if (!found || !done || !discovered.success || !counted.success) return undefined;
  return { discover: found, count: done, discovered: discovered.data, counted: counted.data };
}

const keysOf = ({ discover, count }: Pick<Marks, "discover" | "count">) => ({
  discover: discover.key,
  count: count.key,
});

/** A part that can be merged. */
interface FinishedPart extends PartRecord {
  readonly path: string;
  readonly marks: Marks;
}

/** @throws DoremiError not-a-part, unfinished-part */
async function readPart(path: string): Promise<FinishedPart> {
  const text = await readFile(join(path, RECORD), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  const parsed = text === undefined ? undefined : record.safeParse(jsonOf(text));
  if (!parsed?.success) {
    const what = text === undefined ? "there is none" : "it is not one that this version writes";
    throw new DoremiError(
      "missing-input",
      "not-a-part",
      `${path}: a part of a count has a ${RECORD}, and ${what}; count it: doremi count PIPELINE --shard-index I --num-shards N`,
      { file: path },
    );
  }
  const marks = await marksOf(path);
  if (!marks || canonicalJson(keysOf(marks)) !== canonicalJson(parsed.data.keys)) {
    throw new DoremiError(
      "missing-input",
      "unfinished-part",
      `${path}: a part must be whole, and its ${marks ? `counts were made anew since its ${RECORD}` : "counts are not all there"}; run its task again`,
      { file: path },
    );
  }
  return { ...parsed.data, path, marks };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Which tasks of so many need not run again, by their folders alone.
 * @param corpus fingerprint of the files: see FilesRange
 */
export async function finishedParts(prepared: Prepared, of: number, corpus: string): Promise<Set<number>> {
  const { output } = prepared.pipeline;
  const settings = canonicalJson(settingsOf(prepared));
  const found = await Promise.all(
    Array.from({ length: of }, async (_, index) => {
      const part = await readPart(partFolder(output, { index, of })).catch((error: unknown) => {
        if (error instanceof DoremiError && error.kind === "missing-input") return undefined;
        throw error;
      });
      return part?.corpus === corpus && canonicalJson(part.settings) === settings ? [index] : [];
    }),
  );
  return new Set(found.flat());
}

export interface MergeResult {
  readonly status: "done" | "unchanged";
  /** absolute path */
  readonly output: string;
  readonly stages: readonly StageReport[];
  readonly parts: number;
  /** of the corpus's files, start..end (exclusive) */
  readonly range: Pick<FilesRange, "start" | "end" | "files">;
  readonly count: CountOutput;
}

/**
 * Puts parts together: to the folders `discover` and `count` that one machine would have written, or, where they are not
 * the whole corpus and `partial` allows it, to a larger part.
 *
 * @param paths absolute; in any order
 * @param output absolute
 * @throws DoremiError not-a-part, unfinished-part, gap, overlap, mixed-tokenizers, mixed-configurations, mixed-corpora
 */
export async function mergeParts(
  paths: readonly string[],
  output: string,
  options: Pick<RunOptions, "signal" | "onEvent"> & { readonly partial?: boolean } = {},
): Promise<MergeResult> {
  const parts = await Promise.all(paths.map(readPart));
  const [first] = parts;
  if (paths.includes(output)) {
    throw new DoremiError(
      "usage",
      "merge-output",
      `${output}: the output must be another folder than those of the parts; choose another --output`,
      { file: output },
    );
  }
  if (!first)
    throw new DoremiError("usage", "no-parts", "needs parts to merge: the folders of doremi count --shard-index");
  for (const part of parts) refuseOther(first, part);
  parts.sort((a, b) => a.start - b.start || a.end - b.end);
  const range = coveredBy(parts, options.partial === true);
  const whole = range.start === 0 && range.end === range.files;
  const { settings } = first;
  // Nothing is left to look up or to count, so of the pipeline only its name matters.
  const tokenizer = settings.count.tokenizers[0]!.name;
  const pipeline = definePipeline({ version: 1, name: settings.pipeline, output, tokenizer, data: {}, cache: false });
  const { status, reports, outputs } = await runInFolder(
    { ...pipeline, output },
    bindMerge(parts, whole ? undefined : range),
    options,
  );
  if (whole) await rm(join(output, RECORD), { force: true });
  else await writeRecord(output, settings);
  return { status, output, stages: reports, parts: parts.length, range, count: outputs.count as CountOutput };
}

/** The stages of a count with nothing to look for and nothing to count. @param part undefined: all of the corpus */
function bindMerge(parts: readonly FinishedPart[], part: FilesRange | undefined): BoundStage[] {
  const { settings } = parts[0]!;
  const gather: Stage<z.output<typeof discoverInput>, DiscoverOutput> = {
    ...discover,
    async run(_, { folder }) {
      const lists = await Promise.all(
        parts.map(({ path, marks }) => readShards(join(path, "discover"), marks.discovered.shards)),
      );
      const shards = lists.flat();
      const sha256 = await writeJsonLines(join(folder, SHARDS), shards);
      const { part: _part, ...common } = parts[0]!.marks.discovered;
      const skipped = parts.flatMap(({ marks }) => marks.discovered.skipped);
      const list = { path: SHARDS, sha256, shards: shards.length };
      return { ...common, shards: list, skipped, ...(part && { part }) };
    },
  };
  return [
    {
      stage: gather,
      input: () => ({ ...settings.discover, ...(part && { part: { start: part.start, end: part.end } }) }),
    },
    {
      stage: mergedCount({
        folders: parts.map(({ path }) => join(path, "count")),
        skipped: parts.flatMap(({ marks }) => marks.counted.skipped),
      }),
      input: (outputs) => {
        const { root, shards, domains } = outputs.discover as DiscoverOutput;
        const rule = { ...settings.discover.domains, listed: domains };
        return { ...settings.count, root, shards, domains: rule, ...(part && { part: true }) };
      },
      // Of a part nothing can be said: what is left out may all lie in one.
      ...(!part && {
        check: ({ discover, count }, folder) =>
          checkSkipped(settings.maxSkipped, discover as DiscoverOutput, count as CountOutput, folder.folderOf("count")),
      }),
    },
  ];
}

/** @throws DoremiError mixed-tokenizers, mixed-configurations, mixed-corpora */
function refuseOther(first: FinishedPart, part: FinishedPart): void {
  const refuse = (code: ErrorCode, rule: string, found: string, remedy: string): never => {
    throw new DoremiError(
      "bad-data",
      code,
      `${part.path}: ${rule} as those of ${first.path}, found ${found}; ${remedy}`,
      { file: part.path },
    );
  };
  const again = "count the parts of one run with one pipeline file";
  const tokenizers = ({ settings }: FinishedPart) =>
    settings.count.tokenizers.map(({ name, fingerprint }) => `${name} (${fingerprint.slice(0, 8)})`).join(", ");
  if (tokenizers(part) !== tokenizers(first)) {
    refuse(
      "mixed-tokenizers",
      "a part must be counted with the same tokenizers, in the same order,",
      `${tokenizers(part)} and there ${tokenizers(first)}`,
      again,
    );
  }
  const [one, other] = [flatSettings(first), flatSettings(part)];
  for (const key of Object.keys(one)) {
    if (one[key] === other[key]) continue;
    refuse(
      "mixed-configurations",
      "a part must be counted under the same settings",
      `${key} ${shortened(other[key]!)} and there ${shortened(one[key]!)}`,
      again,
    );
  }
  if (part.corpus !== first.corpus) {
    refuse(
      "mixed-corpora",
      "a part must be of the same list of files, by name and size,",
      `${part.files} files and there ${part.files === first.files ? "others" : first.files}`,
      "count all parts again once the corpus stays as it is",
    );
  }
}

function flatSettings({ settings: { pipeline, discover, count, ...rest } }: FinishedPart): Record<string, string> {
  const { textColumn: _text, domainColumn: _domain, onBadShard: _policy, ...counting } = count;
  const all = { name: pipeline, ...discover, ...counting, ...rest };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, canonicalJson(value)]));
}

const shortened = (text: string) =>
  text.length > 120 ? `${text.slice(0, 100)}… (${sha256Json(text).slice(0, 8)})` : text;

/** @param parts in the order of their files @throws DoremiError gap, overlap */
function coveredBy(parts: readonly FinishedPart[], partial: boolean): FilesRange {
  const { start, files, corpus } = parts[0]!;
  const missing = (from: number, to: number, where: string) => {
    const which = to - from === 1 ? `file ${from} of ${files} is` : `files ${from} to ${to - 1} of ${files} are`;
    return new DoremiError(
      "missing-input",
      "gap",
      `${where}: the parts must follow each other${partial ? "" : " and be the whole corpus"}, and ${which} in none of them (counted from 0); ` +
        `name the folders of all parts${partial ? "" : ", or merge what there is to a larger part with --partial"}`,
      { file: where },
    );
  };
  if (!partial && start > 0) throw missing(0, start, parts[0]!.path);
  let end = start;
  for (const [i, part] of parts.entries()) {
    if (part.start > end) throw missing(end, part.start, part.path);
    if (part.start < end && part.end > part.start) {
      const before = parts[i - 1]!;
      throw new DoremiError(
        "bad-data",
        "overlap",
        `${part.path}: a file must be in one part only, and file ${part.start} of ${files} (counted from 0) is also in ${before.path}; ` +
          "name each part once, and parts of one number of tasks",
        { file: part.path },
      );
    }
    end = Math.max(end, part.end);
  }
  if (!partial && end < files) throw missing(end, files, parts.at(-1)!.path);
  return { start, end, files, corpus };
}
