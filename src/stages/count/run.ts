/**
 * count: tokens of every document, in the pool, a task per unit. Each shard's row counts are written as soon as its
 * last unit is in, so an interrupted count goes on with the next shard.
 */
import { copyFile, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { canonicalJson, sha256, sha256Json } from "../../lib/hash.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { DiscoveredShard, DiscoverOutput } from "../discover/contract.ts";
import { type PoolTask, workerModule } from "../pool.ts";
import { reporter, type Stage, type StageContext } from "../stage.ts";
import {
  type CountedShard,
  type CountInput,
  type CountOutput,
  countedShard,
  countInput,
  countOutput,
} from "./contract.ts";
import { writeCountsFile } from "./counts-file.ts";
import { domainTotals, shardTotals } from "./totals.ts";
import type { CountJob, CountJobResult, UnitCounts } from "./worker.ts";

const WORKER = workerModule(import.meta.url, "./worker");
/** Hashing streams a file through one buffer. */
const HASH_MEMORY = 4 << 20;
/** Totals per domain and shard, for people and other tools. */
export const COUNTS = "counts.json";

export const count: Stage<CountInput, CountOutput> = {
  name: "count",
  version: 1,
  input: countInput,
  output: countOutput,
  async run(input, context) {
    const report = reporter(context, "count");
    const shards = input.shards as DiscoveredShard[];
    const finished = new Map<number, CountedShard>();
    for (const [index, shard] of shards.entries()) {
      const kept = await reuse(context, index, shard, input);
      if (kept) finished.set(index, kept);
    }
    const total = shards.reduce((sum, shard) => sum + shard.layout.size, 0);
    let done = [...finished.keys()].reduce((sum, index) => sum + shards[index]!.layout.size, 0);
    const skipped: DiscoverOutput["skipped"] = [];
    report.progress(done, total, "bytes");

    // A bad shard must not stop the others where it may be skipped, so each shard's tasks fail by themselves.
    const pending = shards.map((_, index) => index).filter((index) => !finished.has(index));
    const bad = new Set<number>();
    let open: { index: number; sha256: string; units: UnitCounts[] } | undefined;
    const tasks = function* (): Generator<PoolTask<ShardJob>> {
      for (const index of pending) yield* shardTasks(index, shards[index]!, input);
    };
    for await (const { input: task, output } of context.pool.map<ShardJob, CountJobResult>(
      WORKER,
      tasks(),
      context.signal,
    )) {
      const shard = shards[task.shard]!;
      if (output.failure) {
        if (!bad.has(task.shard))
          skipped.push({ path: shard.path, code: output.failure.code, reason: output.failure.message });
        bad.add(task.shard);
      } else if (output.result && !bad.has(task.shard)) {
        if ("sha256" in output.result) open = { index: task.shard, sha256: output.result.sha256, units: [] };
        else open!.units.push(output.result);
      }
      done += task.bytes;
      report.progress(done, total, "bytes");
      if (task.last && !bad.has(task.shard)) {
        finished.set(task.shard, await closeShard(context, shard, input, open!));
      }
    }
    for (const shard of skipped) report.note(`left out ${shard.path}: ${shard.reason}`);
    const counted = shards.flatMap((_, index) => finished.get(index) ?? []);
    const { domains, notes } = domainTotals(counted, input, skipped);
    for (const note of notes) report.note(note);
    const output: CountOutput = {
      tokenizers: input.tokenizers.map(({ source: _, ...described }) => described),
      domains,
      shards: counted,
      skipped,
      notes,
    };
    await writeFileAtomic(join(context.folder, COUNTS), `${JSON.stringify(output, null, 2)}\n`);
    return output;
  },
};

interface ShardJob extends CountJob {
  readonly shard: number;
  /** bytes of the shard that this task accounts for in the progress */
  readonly bytes: number;
  readonly last: boolean;
}

function* shardTasks(index: number, shard: DiscoveredShard, input: CountInput): Generator<PoolTask<ShardJob>> {
  const path = join(input.root, shard.path);
  const { units, size, format } = shard.layout;
  const tolerate = input.onBadShard === "skip";
  const perUnit = units.length === 0 ? 0 : size / units.length;
  yield {
    memoryBytes: HASH_MEMORY,
    input: {
      shard: index,
      bytes: units.length === 0 ? size : 0,
      last: units.length === 0,
      tolerate,
      task: { kind: "hash", path },
    },
  };
  for (const [i, unit] of units.entries()) {
    const source = {
      path,
      layout: { format, size },
      unit,
      textColumn: input.textColumn,
      domainColumn: input.domainColumn,
      domain: shard.domain,
      transform: input.transform,
    };
    yield {
      memoryBytes: unit.memoryBytes,
      input: {
        shard: index,
        bytes: Math.round(perUnit),
        last: i === units.length - 1,
        tolerate,
        task: { kind: "unit", source, tokenizers: input.tokenizers as TokenizerDescriptor[] },
      },
    };
  }
}

/** Puts a shard's units together under one list of names and writes its counts and its summary. */
async function closeShard(
  context: StageContext,
  shard: DiscoveredShard,
  input: CountInput,
  open: { index: number; sha256: string; units: UnitCounts[] },
): Promise<CountedShard> {
  const names = new Map<string, number>();
  for (const unit of open.units) for (const name of unit.domainNames) if (!names.has(name)) names.set(name, names.size);
  const units = open.units.map((unit) => {
    const place = unit.domainNames.map((name) => names.get(name)!);
    return { ...unit, domain: unit.domain.map((index) => (index < 0 ? -1 : place[index]!)) };
  });
  const domainNames = [...names.keys()];
  checkListed(domainNames, open.units, shard, input);
  const path = `${String(open.index).padStart(5, "0")}-${basename(shard.path)}.counts.arrow`;
  const tokenizers = input.tokenizers.map((tokenizer) => tokenizer.name);
  const hash = await writeCountsFile(join(context.folder, path), units, domainNames, tokenizers);
  const rows = units.reduce((sum, unit) => sum + unit.rows, 0);
  const totals = shardTotals(units, domainNames, tokenizers, input.domains);
  const summary: CountedShard = {
    path: shard.path,
    size: shard.layout.size,
    sha256: open.sha256,
    format: shard.layout.format,
    split: shard.split,
    domain: shard.domain,
    rows,
    rowGroups: rowGroupsOf(shard.layout.format, units, input.transform !== null),
    droppedRows: rows - Object.values(totals).reduce((sum, domain) => sum + domain.documents, 0),
    totals,
    counts: { path, sha256: hash },
  };
  await writeFileAtomic(join(context.folder, `${path}.json`), canonicalJson({ key: shardKey(shard, input), summary }));
  return summary;
}

/**
 * Rows of each unit. The stretches of a JSONL file are ours, not the file's: to others it is one row group, unless a
 * transform numbers its rows by them.
 */
export function rowGroupsOf(
  format: CountedShard["format"],
  units: readonly { rows: number }[],
  transformed: boolean,
): number[] {
  const rows = units.map((unit) => unit.rows);
  return format === "jsonl" && !transformed ? [rows.reduce((sum, count) => sum + count, 0)] : rows;
}

function checkListed(
  names: readonly string[],
  units: readonly UnitCounts[],
  shard: DiscoveredShard,
  input: CountInput,
): void {
  if (input.onUnlistedDomain === "drop") return;
  const file = join(input.root, shard.path);
  const unlisted = input.domains && names.find((name) => !input.domains!.includes(name));
  if (unlisted !== null && unlisted !== undefined) {
    throw new DoremiError(
      "bad-data",
      "unlisted-domain",
      `${file}: holds rows of the domain “${unlisted}”, which data.domains does not list; list it, or set data.onUnlistedDomain: drop`,
      { file },
    );
  }
  const without = units.reduce((sum, unit) => sum + unit.withoutDomain, 0);
  if (without > 0) {
    throw new DoremiError(
      "bad-data",
      "missing-domain",
      `${file}: every row needs a domain, found ${without} without one; fill the column, or set data.onUnlistedDomain: drop`,
      { file },
    );
  }
}

/** What a shard's counts depend on. */
function shardKey(shard: DiscoveredShard, input: CountInput): string {
  const { path, domain, version, layout } = shard;
  const { tokenizers, textColumn, domainColumn, transform, domains, onUnlistedDomain } = input;
  return sha256Json({
    stage: count.version,
    shard: { path, domain, version, size: layout.size },
    tokenizers: tokenizers.map((tokenizer) => [tokenizer.name, tokenizer.fingerprint]),
    textColumn,
    domainColumn,
    transform,
    domains,
    onUnlistedDomain,
  });
}

/** Counts of a shard that an interrupted or an earlier run left and that still hold. */
async function reuse(
  context: StageContext,
  index: number,
  shard: DiscoveredShard,
  input: CountInput,
): Promise<CountedShard | undefined> {
  const name = `${String(index).padStart(5, "0")}-${basename(shard.path)}.counts.arrow`;
  const key = shardKey(shard, input);
  const here = await readSummary(context.folder, name, key);
  if (here) return here;
  const before = countOutput.safeParse(context.previous?.output);
  const old = before.success ? before.data.shards.find((other) => other.path === shard.path) : undefined;
  if (!old || !context.previous) return undefined;
  const kept = await readSummary(context.previous.folder, old.counts.path, key);
  if (!kept) return undefined;
  const summary = { ...kept, split: shard.split, counts: { ...kept.counts, path: name } };
  await copyFile(join(context.previous.folder, old.counts.path), join(context.folder, name));
  await writeFileAtomic(join(context.folder, `${name}.json`), canonicalJson({ key, summary }));
  return summary;
}

async function readSummary(folder: string, name: string, key: string): Promise<CountedShard | undefined> {
  try {
    const saved = JSON.parse(await readFile(join(folder, `${name}.json`), "utf8"));
    if (saved.key !== key) return undefined;
    const summary = countedShard.parse(saved.summary);
    return sha256(await readFile(join(folder, name))) === summary.counts.sha256 ? summary : undefined;
  } catch {
    return undefined; // missing, torn or of another version: counted again
  }
}
