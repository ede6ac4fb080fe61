/**
 * count: tokens of every document, in the pool. Each group of shards gets its counts file as soon as its last shard is
 * in, so an interrupted count goes on with the next group; what was counted before and has not changed is taken over.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { sha256Json } from "../../lib/hash.ts";
import { JsonLinesFile } from "../../lib/json-lines.ts";
import { isRemote, joinLocation } from "../../storage/location.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { DiscoveredShard, DiscoverOutput } from "../discover/contract.ts";
import { readShards, SHARDS } from "../discover/run.ts";
import { workerModule } from "../pool.ts";
import { reporter, type Stage, type StageContext } from "../stage.ts";
import { type CountInput, type CountOutput, countInput, countOutput } from "./contract.ts";
import { GroupWriter, type ShardCounts } from "./group-writer.ts";
import { type Hit, KeptCounts, objectContent } from "./kept.ts";
import { countJobs, hashJobs, type PlannedJob, planGroups } from "./plan.ts";
import { CorpusTotals } from "./totals.ts";
import type { CountJobResult, UnitCounts } from "./worker.ts";

const WORKER = workerModule(import.meta.url, "./worker");
/** Raised when the same content would be counted otherwise. */
const COUNTING = 1;
/** Totals per domain, for people and other tools. */
export const COUNTS = "counts.json";

type TypedInput = CountInput & { readonly tokenizers: readonly TokenizerDescriptor[] };

/** Counts of all the shards, made elsewhere. */
export interface CountedParts {
  /** of the parts' count stages */
  readonly folders: readonly string[];
  /** shards that the parts left out, in order */
  readonly skipped: CountOutput["skipped"];
}

export const count: Stage<CountInput, CountOutput> = {
  name: "count",
  version: 3,
  reads: ["discover"],
  checkedByReaders: true,
  input: countInput,
  output: countOutput,
  run: (input, context) => countShards(input, context),
};

/** The count stage that counts nothing: its folder becomes what counting all shards here would have written. */
export function mergedCount(parts: CountedParts): typeof count {
  return { ...count, run: (input, context) => countShards(input, context, parts) };
}

async function countShards(value: CountInput, context: StageContext, parts?: CountedParts): Promise<CountOutput> {
  const input = value as TypedInput;
  const report = reporter(context, "count");
  const shards = await readShards(context.folderOf("discover"), input.shards);
  noteLargeUnits(shards, context, report.note);
  const { hits, hashes } = await findKept(shards, input, context, report.progress, parts);

  const tokenizers = input.tokenizers.map((tokenizer) => tokenizer.name);
  const totals = new CorpusTotals(tokenizers);
  const skipped: DiscoverOutput["skipped"] = [...(parts?.skipped ?? [])];
  const left = new Set(skipped.map(({ path }) => path));
  const seconds = new Array<number>(tokenizers.length).fill(0);
  const list = await JsonLinesFile.create(join(context.folder, SHARDS));
  let listed = 0;
  try {
    const writer = new GroupWriter(context, input, profileOf(input), report.note);
    const groups = planGroups(shards.map((shard) => shard.layout.size));
    const counted = new Map<number, ShardCounts | null>(); // null: left out
    for (const [index, { path }] of shards.entries()) if (left.has(path)) counted.set(index, null);
    let group = 0;
    /** Writes the groups that are whole, in order. */
    const settle = async () => {
      for (; group < groups.length; group++) {
        const { start, end } = groups[group]!;
        const members = Array.from({ length: end - start }, (_, i) => start + i);
        if (members.some((index) => !hits.has(index) && !counted.has(index))) return;
        const found = members.flatMap((index) => {
          const counts = hits.get(index) ?? counted.get(index);
          counted.delete(index);
          return counts ? [{ shard: shards[index]!, counts }] : [];
        });
        for (const shard of await writer.write(group, found)) {
          totals.add(shard);
          await list.add(shard);
          listed++;
        }
      }
    };
    const total = bytesOf(shards);
    let done = bytesOf(shards.filter((_, index) => hits.has(index)));
    report.progress(done, total, "bytes");
    await settle();

    const pending = [...shards.keys()].filter((index) => !hits.has(index) && !left.has(shards[index]!.path));
    if (parts && pending.length > 0)
      throw notInParts(joinLocation(input.root, shards[pending[0]!]!.path), pending.length);
    let units: UnitCounts[] = [];
    let failed = false; // the shard that is open
    const jobs = countJobs(shards, pending, hashes, input);
    for await (const { input: job, output } of context.pool.map<PlannedJob, CountJobResult>(
      WORKER,
      jobs,
      context.signal,
    )) {
      for (const [t, spent] of output.seconds.entries()) seconds[t]! += spent;
      for (const [i, step] of job.steps.entries()) {
        const shard = shards[step.shard]!;
        const { sha256, counts, failure } = output.parts[i]!;
        if (sha256 !== null) hashes.set(step.shard, sha256);
        if (counts) units.push(counts);
        if (failure && !failed) skipped.push(skippedShard(shard, failure));
        failed ||= failure !== null;
        done += step.bytes;
        if (!step.last) continue;
        counted.set(step.shard, failed ? null : { sha256: hashes.get(step.shard)!, units });
        [units, failed] = [[], false];
      }
      report.progress(Math.min(Math.round(done), total), total, "bytes");
      await settle();
    }
    for (const shard of skipped) report.note(`left out ${shard.path}: ${shard.reason}`);
    const { domains, notes, badDocuments } = totals.finish(input.domains, skipped, input.part);
    for (const note of notes) report.note(note);
    const output: CountOutput = {
      tokenizers: input.tokenizers.map(({ source: _, ...described }) => described),
      domains,
      shards: { path: SHARDS, sha256: await list.commit(), shards: listed, rows: totals.rows },
      skipped,
      ...(badDocuments && { badDocuments }),
      notes,
    };
    await writeFileAtomic(join(context.folder, COUNTS), `${JSON.stringify(output, null, 2)}\n`);
    context.emit({
      type: "counted",
      stage: "count",
      shards: pending.length - (skipped.length - left.size),
      kept: hits.size,
      cached: [...hits.values()].filter(({ file }) => file.origin === "cache").length,
      seconds: Object.fromEntries(tokenizers.map((name, t) => [name, seconds[t]!])),
    });
    return output;
  } catch (error) {
    await list.discard();
    throw error;
  }
}

/** What is said of a shard that is left out. */
export function skippedShard(
  { path, domain, layout: { size } }: DiscoveredShard,
  { code, message }: { readonly code: string; readonly message: string },
): CountOutput["skipped"][number] {
  return { path, code, reason: message, domain, bytes: size };
}

function notInParts(path: string, shards: number): DoremiError {
  return new DoremiError(
    "bad-data",
    "damaged-part",
    `${path}: every shard of a part must have its counts, and those of ${shards === 1 ? "this one" : `${shards} shards`} are missing or are not what was written; ` +
      "delete the part's folder and count it again",
    { file: path },
  );
}

const bytesOf = (shards: readonly DiscoveredShard[]) => shards.reduce((sum, shard) => sum + shard.layout.size, 0);

/** Everything but its content and the tokenizers that a row's counts depend on. */
function profileOf({ textColumn, domainColumn, transform, onBadDocument }: CountInput): string {
  return sha256Json({ counting: COUNTING, textColumn, domainColumn, transform, onBadDocument });
}

/** Counts that still hold, by shard, and the content's hash of those shards that it is known of. */
async function findKept(
  shards: readonly DiscoveredShard[],
  input: TypedInput,
  context: StageContext,
  progress: (done: number, total: number, unit: "bytes") => void,
  parts?: CountedParts,
): Promise<{ hits: Map<number, Hit>; hashes: Map<number, string> }> {
  const kept = await KeptCounts.open(
    [
      { path: context.folder, origin: "work" },
      ...(parts?.folders ?? []).map((path) => ({ path, origin: "part" as const })),
      ...(context.previous ? [{ path: context.previous.folder, origin: "previous" as const }] : []),
      ...(context.cache === undefined ? [] : [{ path: context.cache, origin: "cache" as const }]),
    ],
    { profile: profileOf(input), tokenizers: input.tokenizers, domainMatters: input.transform !== null },
  );
  const hashes = new Map<number, string>();
  for (const [index, shard] of shards.entries()) {
    const isUnhashed = isRemote(shard.path) && !input.hashObjects;
    const known = isUnhashed
      ? objectContent(shard.path, shard)
      : kept.claim(joinLocation(input.root, shard.path), shard);
    if (known !== undefined) hashes.set(index, known);
  }
  // A file of a new name or time may hold what was counted before; one of a new size does not.
  const isLikely = (index: number) => !hashes.has(index) && !parts && kept.isLikely(shards[index]!.layout.size);
  const unknown = [...shards.keys()].filter(isLikely);
  const total = bytesOf(unknown.map((index) => shards[index]!));
  let done = 0;
  const jobs = hashJobs(shards, unknown, input);
  for await (const { input: job, output } of context.pool.map<PlannedJob, CountJobResult>(
    WORKER,
    jobs,
    context.signal,
  )) {
    for (const [i, step] of job.steps.entries()) {
      hashes.set(step.shard, output.parts[i]!.sha256!);
      done += step.bytes;
    }
    progress(done, total, "bytes");
  }
  const hits = new Map<number, Hit>();
  for (const [index, hash] of hashes) {
    const hit = await kept.find(hash, shards[index]!);
    if (hit) hits.set(index, hit);
  }
  return { hits, hashes };
}

/** A unit beyond the memory for shards in flight is read all the same, with nothing beside it. */
function noteLargeUnits(
  shards: readonly DiscoveredShard[],
  { pool }: Pick<StageContext, "pool">,
  note: (message: string) => void,
): void {
  let large = 0;
  let largest = { bytes: 0, where: "" };
  for (const { path, layout } of shards) {
    for (const { index, memoryBytes: bytes } of layout.units) {
      if (bytes <= pool.memoryBytes) continue;
      large++;
      if (bytes > largest.bytes) largest = { bytes, where: `row group ${index} of ${path}` };
    }
  }
  if (large === 0) return;
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  note(
    `${large === 1 ? "one row group needs" : `${large} row groups need`} more memory than ${mebibytes(pool.memoryBytes)} (largest: ${largest.where}, some ${mebibytes(largest.bytes)}); ` +
      "each is read alone, with no other beside it",
  );
}
