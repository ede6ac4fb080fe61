/**
 * How counting is divided, as plain data: groups of shards, each of which gets one counts file and is what an interrupted
 * count goes on from; and jobs for the workers, which take small shards together. Pure.
 */
import { locate } from "../../storage/location.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { DiscoveredShard } from "../discover/contract.ts";
import type { PoolTask } from "../pool.ts";
import type { CountInput } from "./contract.ts";
import type { CountJob, CountPart } from "./worker.ts";

/** A group ends with the shard that brings it to this many bytes, or to this many shards. */
const GROUP_BYTES = 64 << 20;
const GROUP_SHARDS = 512;
/** Shards up to this size are counted several in a job: */
const SMALL_BYTES = 1 << 20;
const JOB_BYTES = 4 << 20;
const JOB_SHARDS = 64;
/** Hashing streams a file through one buffer. */
const HASH_MEMORY = 4 << 20;

/** Consecutive shards, start..end (exclusive). It depends on nothing but their sizes. */
export interface CountGroup {
  readonly start: number;
  readonly end: number;
}

export function planGroups(sizes: readonly number[]): CountGroup[] {
  const groups: CountGroup[] = [];
  let start = 0;
  let bytes = 0;
  for (const [index, size] of sizes.entries()) {
    bytes += size;
    if (bytes < GROUP_BYTES && index - start + 1 < GROUP_SHARDS && index < sizes.length - 1) continue;
    groups.push({ start, end: index + 1 });
    start = index + 1;
    bytes = 0;
  }
  return groups;
}

/** What each part of a job is for, beside what the worker is told. */
export interface CountStep {
  readonly shard: number;
  /** bytes of the shard that it accounts for in the progress */
  readonly bytes: number;
  /** nothing of the shard follows */
  readonly last: boolean;
}

export interface PlannedJob extends CountJob {
  readonly steps: readonly CountStep[];
}

interface PlannedPart {
  readonly part: CountPart;
  readonly step: CountStep;
  readonly memoryBytes: number;
}

type Reading = Pick<
  CountInput,
  "root" | "textColumn" | "domainColumn" | "transform" | "onBadShard" | "onBadDocument"
> & {
  readonly tokenizers: readonly TokenizerDescriptor[];
};

/**
 * @param pending indices of the shards to count, ascending
 * @param hashes of those whose content is known already
 */
export function* countJobs(
  shards: readonly DiscoveredShard[],
  pending: Iterable<number>,
  hashes: ReadonlyMap<number, string>,
  input: Reading,
): Generator<PoolTask<PlannedJob>> {
  let batch: PlannedPart[] = [];
  let batchBytes = 0;
  let batchShards = 0;
  const take = () => {
    const job = jobOf(batch, input);
    [batch, batchBytes, batchShards] = [[], 0, 0];
    return job;
  };
  for (const index of pending) {
    const shard = shards[index]!;
    const parts = partsOf(shard, index, !hashes.has(index), input);
    const { size } = shard.layout;
    const full = batchBytes + size > JOB_BYTES || batchShards >= JOB_SHARDS;
    if (batch.length > 0 && (size > SMALL_BYTES || full)) yield take();
    if (size > SMALL_BYTES) {
      for (const part of parts) yield jobOf([part], input);
    } else {
      batch.push(...parts);
      batchBytes += size;
      batchShards++;
    }
  }
  if (batch.length > 0) yield take();
}

/** Jobs that only hash. */
export function hashJobs(
  shards: readonly DiscoveredShard[],
  pending: readonly number[],
  input: Reading,
): Generator<PoolTask<PlannedJob>> {
  const parts = pending.map((index) => {
    const shard = shards[index]!;
    return hashPart(shard, index, input, { bytes: shard.layout.size, last: true });
  });
  return together(parts, input);
}

/** Jobs that count some units, in their order. */
export function unitJobs(
  shards: readonly DiscoveredShard[],
  units: readonly { readonly shard: number; readonly unit: number }[],
  input: Reading,
): Generator<PoolTask<PlannedJob>> {
  const parts = units.map(({ shard, unit }) => {
    const { storedBytes: bytes } = shards[shard]!.layout.units[unit]!;
    return unitPart(shards[shard]!, shard, unit, false, { bytes, last: true }, input);
  });
  return together(parts, input);
}

function* together(parts: readonly PlannedPart[], input: Reading): Generator<PoolTask<PlannedJob>> {
  let batch: PlannedPart[] = [];
  let bytes = 0;
  for (const part of parts) {
    batch.push(part);
    bytes += part.step.bytes;
    if (bytes < JOB_BYTES && batch.length < JOB_SHARDS) continue;
    yield jobOf(batch, input);
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) yield jobOf(batch, input);
}

/** In order; a large shard is hashed by itself, so that its units need not wait for it. */
function partsOf(shard: DiscoveredShard, index: number, hash: boolean, input: Reading): PlannedPart[] {
  const { units, size } = shard.layout;
  const apart = hash && (size > SMALL_BYTES || units.length === 0);
  const stored = units.reduce((sum, unit) => sum + unit.storedBytes, 0);
  const parts = units.map(({ storedBytes }, i) => {
    const bytes = size * (stored > 0 ? storedBytes / stored : 1 / units.length);
    return unitPart(shard, index, i, hash && !apart && i === 0, { bytes, last: i === units.length - 1 }, input);
  });
  if (!apart && units.length > 0) return parts;
  const empty = units.length === 0;
  return [hashPart(shard, index, input, { bytes: empty ? size : 0, last: empty }), ...parts];
}

function unitPart(
  { path: name, domain, version, layout: { units, format, size } }: DiscoveredShard,
  index: number,
  i: number,
  hash: boolean,
  step: Omit<CountStep, "shard">,
  { root, textColumn, domainColumn, transform, onBadDocument }: Reading,
): PlannedPart {
  const path = locate(root, name);
  const unit = units[i]!;
  const layout = { format, size };
  const source = { path, version, layout, unit, textColumn, domainColumn, domain, transform, onBadDocument };
  return {
    part: { path, hash, unit: source, known: { size, version } },
    step: { shard: index, ...step },
    memoryBytes: unit.memoryBytes,
  };
}

function hashPart(
  shard: DiscoveredShard,
  index: number,
  { root }: Reading,
  step: Omit<CountStep, "shard">,
): PlannedPart {
  return {
    part: {
      path: locate(root, shard.path),
      hash: true,
      unit: null,
      known: { size: shard.layout.size, version: shard.version },
    },
    step: { shard: index, ...step },
    memoryBytes: HASH_MEMORY,
  };
}

/** One part after the other, so it takes the memory of the largest. */
function jobOf(parts: readonly PlannedPart[], { tokenizers, onBadShard }: Reading): PoolTask<PlannedJob> {
  return {
    memoryBytes: Math.max(...parts.map((planned) => planned.memoryBytes)),
    input: {
      parts: parts.map((planned) => planned.part),
      steps: parts.map((planned) => planned.step),
      tokenizers,
      tolerate: onBadShard === "skip",
    },
  };
}
