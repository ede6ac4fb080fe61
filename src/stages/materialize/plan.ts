/**
 * What materializing is going to do, as plain data: which stretch of the selection each output shard holds, and which
 * rows of which source files are read together. Nothing here depends on the number of workers or the memory there is,
 * so neither do the bytes of the set.
 *
 * A document's position is its place in the set: in the order of the selection, within the groups one after another. A
 * shard is a range of positions. A source unit is a row group of a file, counted over all files; a bucket is a range of
 * units that one worker reads.
 */
import { readFile } from "node:fs/promises";
import { DoremiError } from "../../lib/errors.ts";
import type { Manifest, ManifestFile } from "../../manifest/contract.ts";
import type { Compression, MaterializedSet, OutputFormatName } from "../../manifest/materialized.ts";
import { type Runs, unitStarts } from "./runs.ts";

/** All that decides the bytes of a set, beside the manifest. */
export interface MaterializeSettings {
  readonly output: OutputFormatName;
  readonly layout: MaterializedSet["layout"];
  readonly repeats: MaterializedSet["repeats"];
  readonly separator: number | null;
  readonly compression: Compression | null;
  /** about so large are shards: bytes before compression, or exactly so many documents */
  readonly shards: { readonly bytes: number } | { readonly documents: number };
}

export interface Totals {
  /** by domain, in the manifest's order */
  readonly documents: readonly number[];
  readonly tokens: readonly number[];
}

export interface GroupPlan {
  /** index; null = all */
  readonly domain: number | null;
  readonly folder: string;
  readonly firstShard: number;
  readonly shards: number;
}

export interface BucketPlan {
  /** that have selected rows, ascending */
  readonly units: readonly number[];
  /** place of its runs in the file of runs */
  readonly runStart: number;
  readonly runs: number;
  readonly tokens: number;
}

export interface MaterializePlan {
  readonly key: string;
  readonly files: readonly ManifestFile[];
  readonly domains: readonly string[];
  readonly groups: readonly GroupPlan[];
  /** position of each shard's first document, and the end */
  readonly boundaries: readonly number[];
  readonly buckets: readonly BucketPlan[];
  readonly totals: Totals;
}

/** What the first pass over the selection finds. */
export interface Survey {
  /** by unit */
  readonly unitRuns: Float64Array;
  readonly unitTokens: Float64Array;
  readonly totals: Totals;
}

const MAX_SHARDS = 100_000;
/** Fewer leave workers idle at the end and lose more when a run is killed; more cost files and seeks. */
const BUCKETS = 256;
const LEAST_BUCKET_TOKENS = 2e6;
/** A worker holds the runs of its bucket in memory. */
const MAX_BUCKET_RUNS = 1 << 20;

export async function surveyRuns(runs: AsyncIterable<Runs>, manifest: Manifest): Promise<Survey> {
  const units = unitStarts(manifest.files).at(-1)!;
  const unitRuns = new Float64Array(units);
  const unitTokens = new Float64Array(units);
  const documents = new Array<number>(manifest.domains.length).fill(0);
  const tokens = new Array<number>(manifest.domains.length).fill(0);
  for await (const chunk of runs) {
    for (let i = 0; i < chunk.count; i++) {
      const unit = chunk.unit[i]!;
      unitRuns[unit]! += 1;
      unitTokens[unit]! += chunk.tokens[i]!;
      documents[chunk.domain[i]!]! += chunk.rows[i]!;
      tokens[chunk.domain[i]!]! += chunk.tokens[i]!;
    }
  }
  return { unitRuns, unitTokens, totals: { documents, tokens } };
}

/**
 * The selection holds what the manifest says that it does.
 * @param repeats "once": the first pass over each domain, which holds every document that later ones repeat
 * @throws DoremiError bad-selection
 */
export function checkTotals(manifest: Manifest, repeats: MaterializeSettings["repeats"], totals: Totals): void {
  for (const [i, domain] of manifest.domains.entries()) {
    const once = repeats === "once" && domain.selectedDocuments > domain.documents;
    const documents = once ? domain.documents : domain.selectedDocuments;
    const tokens = once ? domain.tokens : domain.achievedTokens;
    if (totals.documents[i] === documents && totals.tokens[i] === tokens) continue;
    throw new DoremiError(
      "bad-data",
      "bad-selection",
      `domain ${domain.name}: the manifest says ${documents} documents of ${tokens} tokens, and its selection holds ` +
        `${totals.documents[i]} of ${totals.tokens[i]}; run \`doremi verify\`, or write both anew with \`doremi resample\``,
    );
  }
}

/** Ranges of units of about equal work. */
export function planBuckets({ unitRuns, unitTokens }: Survey): BucketPlan[] {
  let allTokens = 0;
  let allRuns = 0;
  for (let unit = 0; unit < unitRuns.length; unit++) {
    allTokens += unitTokens[unit]!;
    allRuns += unitRuns[unit]!;
  }
  const mostTokens = Math.max(LEAST_BUCKET_TOKENS, allTokens / BUCKETS);
  const mostRuns = Math.max(MAX_BUCKET_RUNS, allRuns / BUCKETS);
  const buckets: BucketPlan[] = [];
  let units: number[] = [];
  let runStart = 0;
  let runs = 0;
  let tokens = 0;
  const close = () => {
    if (units.length === 0) return;
    buckets.push({ units, runStart, runs, tokens });
    runStart += runs;
    units = [];
    runs = 0;
    tokens = 0;
  };
  for (let unit = 0; unit < unitRuns.length; unit++) {
    if (unitRuns[unit] === 0) continue;
    if (tokens + unitTokens[unit]! > mostTokens || runs + unitRuns[unit]! > mostRuns) close();
    units.push(unit);
    runs += unitRuns[unit]!;
    tokens += unitTokens[unit]!;
  }
  close();
  return buckets;
}

/** Cuts the stream of one group into shards of about equal weight, none empty, as its runs come. */
export class ShardCutter {
  /** so far */
  documents = 0;
  /** first document of each shard after the first */
  readonly cuts: number[] = [];
  readonly #target: number;
  #weight = 0; // of all documents so far
  #next: number; // weight at which the open shard is full

  /** @param total weight of the group  @param most of a shard  @param even: all the same; otherwise `most` but the last */
  constructor(total: number, most: number, even: boolean) {
    const shards = Math.max(1, Math.ceil(total / most));
    if (shards > MAX_SHARDS) {
      throw new DoremiError(
        "usage",
        "too-many-shards",
        `the set would have ${shards} shards, and at most ${MAX_SHARDS} are written; give a larger --shard-size or --shard-documents`,
      );
    }
    this.#target = even ? total / shards : most;
    this.#next = this.#target;
  }

  /** A run of so many documents that weigh so much together, more than nothing. */
  add(documents: number, weight: number): void {
    const each = weight / documents;
    for (let left = documents; left > 0; ) {
      const room = this.#next - this.#weight;
      // What is left of it by rounding is no room. A cut waits for the document behind it, so the last shard has one.
      if (room <= this.#target * 1e-9) {
        this.cuts.push(this.documents);
        this.#next = this.#target * (Math.floor(this.#weight / this.#target + 1e-9) + 1);
        continue;
      }
      const taken = Math.min(left, Math.max(1, Math.ceil(room / each - 1e-9)));
      this.documents += taken;
      this.#weight += taken * each;
      left -= taken;
    }
  }
}

/** Folders of the domains' groups: their names with what file systems or blend lists trip over replaced. */
export function groupFolders(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const plain = name.replace(/[^A-Za-z0-9._-]/g, "_").replace(/^[.-]+/, "_") || "_";
    let folder = plain;
    for (let i = 2; taken.has(folder.toLowerCase()); i++) folder = `${plain}-${i}`;
    taken.add(folder.toLowerCase());
    return folder;
  });
}

let latest: { readonly key: string; readonly plan: Promise<MaterializePlan> } | undefined;

/** The plan that a worker's tasks belong to: read once. */
export function planAt(path: string, key: string): Promise<MaterializePlan> {
  if (latest?.key !== key) {
    latest = { key, plan: readFile(path, "utf8").then((text) => JSON.parse(text) as MaterializePlan) };
    latest.plan.catch(() => {
      latest = undefined;
    });
  }
  return latest.plan;
}
