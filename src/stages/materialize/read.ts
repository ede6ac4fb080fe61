/** The first half of the shuffle, as tasks for the pool: which files are opened and which of their units are read. */
import { inspectShard } from "../../formats/read.ts";
import type { ColumnSelection, ShardLayout } from "../../formats/shard.ts";
import { DoremiError } from "../../lib/errors.ts";
import type { ManifestFile } from "../../manifest/contract.ts";
import { knownState } from "../../manifest/paths.ts";
import { startsOf } from "../../manifest/select.ts";
import { storage } from "../../storage/files.ts";
import { type PoolTask, workerModule } from "../pool.ts";
import { reporter } from "../stage.ts";
import type { MaterializePlan } from "./plan.ts";
import type { ReadMark, ReadTask, SourceFile, SourceUnit } from "./read-worker.ts";
import { checkDone, type MaterializeRequest } from "./request.ts";
import { unitStarts } from "./runs.ts";
import type { SpillFile } from "./spill.ts";
import type { SetState } from "./state.ts";

const READER = workerModule(import.meta.url, "./read-worker");

/** @returns where the documents are. @throws DoremiError */
export async function readSources(request: MaterializeRequest, plan: MaterializePlan): Promise<SpillFile[]> {
  const { state, pool, signal, emit } = request;
  const { progress } = reporter({ emit }, "read");
  const marks = await state.marks<ReadMark>("read");
  const total = plan.buckets.reduce((sum, bucket) => sum + bucket.tokens, 0);
  let done = 0;
  const advance = (bucket: number) => {
    done += plan.buckets[bucket]!.tokens;
    progress(done, total, "tokens");
  };
  for (const bucket of marks.keys()) advance(bucket);
  const tasks = readTasks(request, plan, (bucket) => !marks.has(bucket));
  for await (const { input, output } of pool.map<ReadTask, ReadMark>(READER, tasks, signal)) {
    marks.set(input.bucket, output);
    advance(input.bucket);
  }
  const all = plan.buckets.map((_, bucket) => marks.get(bucket)!);
  checkDone(plan, all, "read");
  return all.map(({ runs }, bucket) => ({ ...spillOf(state, bucket), runs }));
}

function spillOf(state: SetState, bucket: number) {
  return { path: state.path(`read-${bucket}.spill`), indexPath: state.path(`read-${bucket}.index`) };
}

/** Of what a worker gathers before it spills. */
const LEAST_ARENA = 4 << 20;
const LARGEST_ARENA = 64 << 20;
/** A run of the selection in a worker, bytes. */
const RUN_BYTES = 80;

async function* readTasks(
  request: MaterializeRequest,
  plan: MaterializePlan,
  wanted: (bucket: number) => boolean,
): AsyncGenerator<PoolTask<ReadTask>> {
  const { state, pool, tokenizer, format } = request;
  const arenaBytes = Math.min(LARGEST_ARENA, Math.max(LEAST_ARENA, pool.memoryBytes / (8 * pool.workers)));
  const starts = unitStarts(plan.files);
  let file = 0; // that the next unit is of
  let hashed = -1; // the last file whose first selected unit came by
  for (const [bucket, { units, runs }] of plan.buckets.entries()) {
    const files = new Map<number, number[]>();
    for (const unit of units) {
      while (starts[file + 1]! <= unit) file++;
      const ofFile = files.get(file);
      if (ofFile) ofFile.push(unit);
      else files.set(file, [unit]);
    }
    const sources: SourceFile[] = [];
    let largest = 0;
    for (const [index, ofFile] of files) {
      const isFirst = index > hashed;
      hashed = index;
      if (!wanted(bucket)) continue;
      const layout = await layoutOf(request, index);
      largest = Math.max(largest, ...layout.units.map((unit) => unit.memoryBytes));
      sources.push({
        file: index,
        path: request.sources[index]!,
        sha256: isFirst ? plan.files[index]!.sha256 : null,
        units: ofFile.map((unit) => sourceUnit(request, layout, index, unit, unit - starts[index]!)),
      });
    }
    if (!wanted(bucket)) continue;
    yield {
      memoryBytes: largest + 2 * arenaBytes + runs * RUN_BYTES,
      input: {
        plan: { path: state.path("plan.json"), key: plan.key },
        runs: state.path("runs.bin"),
        bucket,
        sources,
        tokenizer,
        content: format.content,
        arenaBytes,
        spill: spillOf(state, bucket),
        mark: state.path(`read-${bucket}.json`),
      },
    };
  }
}

/** @throws DoremiError changed-file where size, format or row groups are not the manifest's */
async function layoutOf({ manifest, sources, transform }: MaterializeRequest, index: number): Promise<ShardLayout> {
  const claimed = manifest.files[index]!;
  const columns: ColumnSelection = {
    text: manifest.columns.text,
    ...(claimed.domain === null && manifest.columns.domain !== null && { domain: manifest.columns.domain }),
    ...(transform && transform.columns.length > 0 && { extra: transform.columns }),
  };
  const file = await storage.open(sources[index]!, knownState(claimed));
  const layout = await inspectShard(file, columns).finally(() => file.close());
  const { rowGroups } = claimed;
  const agrees =
    layout.size === claimed.size &&
    layout.format === claimed.format &&
    (layout.units.length === rowGroups.length
      ? layout.units.every((unit, i) => unit.rows === null || unit.rows === rowGroups[i])
      : rowGroups.length === 1 && layout.format === "jsonl");
  if (agrees) return layout;
  throw new DoremiError(
    "bad-data",
    "changed-file",
    `${sources[index]}: is not the file that the manifest was made from (its size, its format or its row groups differ); ` +
      "bring the file back, or write the manifest anew with `doremi resample`",
    { file: sources[index]! },
  );
}

function sourceUnit(
  { manifest, sources, transform }: MaterializeRequest,
  layout: ShardLayout,
  file: number,
  unit: number,
  rowGroup: number,
): SourceUnit {
  const { domain, rowGroups, version }: ManifestFile = manifest.files[file]!;
  const parts = layout.units.length === rowGroups.length ? [layout.units[rowGroup]!] : layout.units;
  return {
    unit,
    rowStart: startsOf(rowGroups)[rowGroup]!,
    parts: parts.map((part) => ({
      path: sources[file]!,
      layout: { format: layout.format, size: layout.size },
      ...(version !== undefined && { version }),
      unit: part,
      textColumn: manifest.columns.text,
      domainColumn: domain === null ? manifest.columns.domain : null,
      domain,
      transform,
      ...(manifest.badDocuments && { onBadDocument: manifest.badDocuments.policy }),
    })),
  };
}
