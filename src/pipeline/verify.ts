/**
 * Verification of a manifest on the worker pool: counts its files again, as they are now, with the tokenizer and the
 * transform that it names, and lets src/manifest compare.
 */
import { setMaxListeners } from "node:events";
import { access } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { inspectShard } from "../formats/read.ts";
import type { ColumnSelection, ShardLayout } from "../formats/shard.ts";
import { DoremiError } from "../lib/errors.ts";
import { sha256File } from "../lib/hash.ts";
import type { Manifest, ManifestFile, ShardCounts } from "../manifest/contract.ts";
import { type DomainRule, ruleWithin } from "../manifest/domain-rule.ts";
import { loadManifest } from "../manifest/load.ts";
import { knownState, type RootOptions, resolveInside, rootOf } from "../manifest/paths.ts";
import { filesToCheck, type VerifyOptions, type VerifyResult, verifyManifest } from "../manifest/verify.ts";
import type { TransformReference } from "../stages/count/contract.ts";
import { domainPlaces } from "../stages/count/counted-shards.ts";
import { rowGroupsOf } from "../stages/count/group-writer.ts";
import type { CountJob, CountJobResult, UnitCounts } from "../stages/count/worker.ts";
import { type PoolTask, WorkerPool, workerModule } from "../stages/pool.ts";
import type { StageEvent } from "../stages/stage.ts";
import { reporter } from "../stages/stage.ts";
import { storage } from "../storage/files.ts";
import { folderOf, isRemote, resolveLocation } from "../storage/location.ts";
import type { FileStat } from "../storage/storage.ts";
import { resolveTokenizer } from "../tokenizer/resolve.ts";
import type { TokenizerDescriptor } from "../tokenizer/tokenizer.ts";

const WORKER = workerModule(import.meta.url, "../stages/count/worker");

/** Chunks of a file on their way into its hash, bytes. */
const HASH_MEMORY = 4 << 20;

export interface VerifyPipelineOptions extends RootOptions, Pick<VerifyOptions, "sample" | "strict"> {
  readonly workers?: number;
  /** tokenizer.json to count with, when the manifest was moved away from the one that it names */
  readonly tokenizer?: string;
  /** run the transform module that the manifest names; it is code, so it is not run unasked */
  readonly allowTransform?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StageEvent) => void;
}

/** @param path of manifest.json  @throws DoremiError when the manifest or its tokenizer cannot be used */
export async function verify(path: string, options: VerifyPipelineOptions = {}): Promise<VerifyResult> {
  const manifest = await loadManifest(path);
  const base = folderOf(resolveLocation(process.cwd(), path));
  const tokenizer = await manifestTokenizer(manifest, base, options);
  const transform = await manifestTransform(manifest, base, options);
  const root = rootOf(path, manifest, options);
  const pool = new WorkerPool({ workers: options.workers ?? availableParallelism() });
  const emit = options.onEvent ?? (() => {});
  const phase = (stage: "hash" | "verify") => {
    const started = performance.now();
    emit({ type: "start", stage });
    return {
      progress: reporter({ emit }, stage).progress,
      end: () => emit({ type: "done", stage, durationMs: performance.now() - started }),
    };
  };
  let current = phase("hash");
  const toHash = filesToCheck(manifest, options.sample).reduce((sum, index) => sum + manifest.files[index]!.size, 0);
  let hashed = 0;
  // A signal of its own, since many files wait on it at the same time.
  const signal = AbortSignal.any(options.signal ? [options.signal] : []);
  setMaxListeners(0, signal);
  try {
    const { root: _, ...rest } = options;
    const result = await verifyManifest(path, {
      ...rest,
      root,
      signal,
      async hash(file, known) {
        const sha256 = await hashInPool(pool, file, known, signal);
        hashed += known.size;
        current.progress(Math.min(hashed, toHash), toHash, "bytes");
        return { size: known.size, sha256 };
      },
      recount(files) {
        current.end();
        current = phase("verify");
        return recount(files, { manifest, root, tokenizer, transform, pool, options, progress: current.progress });
      },
    });
    current.end();
    return result;
  } finally {
    await pool.close();
  }
}

/** The tokenizer that the manifest was counted with. @throws DoremiError tokenizer-changed */
export async function manifestTokenizer(
  manifest: Manifest,
  base: string,
  options: VerifyPipelineOptions,
): Promise<TokenizerDescriptor> {
  const tokenizer = await resolveTokenizer(
    options.tokenizer ?? manifest.tokenizer.source,
    options.tokenizer ? process.cwd() : base,
    manifest.tokenizer.specialTokens ?? "text",
  );
  if (tokenizer.fingerprint === manifest.tokenizer.fingerprint) return tokenizer;
  throw new DoremiError(
    "bad-data",
    "tokenizer-changed",
    `the manifest was counted with the tokenizer ${manifest.tokenizer.name} of fingerprint ${manifest.tokenizer.fingerprint}, and ${manifest.tokenizer.source} has ${tokenizer.fingerprint} now; name the right one with --tokenizer`,
  );
}

/** The manifest's transform, ready to be run; null where it has none. */
export async function manifestTransform(
  manifest: Manifest,
  base: string,
  options: { readonly allowTransform?: boolean },
): Promise<TransformReference | null> {
  if (!manifest.transform) return null;
  const module = resolveLocation(base, manifest.transform.module);
  if (!options.allowTransform) {
    throw new DoremiError(
      "usage",
      "transform-not-allowed",
      `the manifest's documents go through the module ${module}, which is code; if you trust it, allow it (--allow-transform, or allowTransform: true)`,
      { file: module },
    );
  }
  if (isRemote(module)) {
    throw new DoremiError(
      "usage",
      "remote-transform",
      `the manifest's documents go through the module ${module}, and code is run from this machine alone; fetch the folder and name the manifest there`,
      { file: module },
    );
  }
  await access(module);
  const sha256 = await sha256File(module);
  if (sha256 !== manifest.transform.sha256) {
    throw new DoremiError(
      "bad-data",
      "transform-changed",
      `${module}: is not the module that the manifest was made with (its SHA-256 differs)`,
      { file: module },
    );
  }
  return {
    ...manifest.transform,
    module,
    columns: [...manifest.transform.columns],
    options: { ...manifest.transform.options },
  };
}

async function hashInPool(pool: WorkerPool, path: string, known: FileStat, signal?: AbortSignal): Promise<string> {
  const input: CountJob = { tokenizers: [], tolerate: false, parts: [{ path, hash: true, unit: null, known }] };
  const result = await pool.run<CountJob, CountJobResult>(WORKER, { input, memoryBytes: HASH_MEMORY }, signal);
  return result.parts[0]!.sha256!;
}

interface RecountContext {
  readonly manifest: Manifest;
  readonly root: string;
  readonly tokenizer: TokenizerDescriptor;
  readonly transform: TransformReference | null;
  readonly pool: WorkerPool;
  readonly options: VerifyPipelineOptions;
  readonly progress: (done: number, total: number, unit: "bytes") => void;
}

type FileJob = CountJob & { readonly file: number; readonly last: boolean; readonly layout: ShardLayout };

async function* recount(files: readonly ManifestFile[], context: RecountContext): AsyncGenerator<ShardCounts> {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const place = new Map(context.manifest.domains.map((domain, index) => [domain.name, index]));
  let done = 0;
  let units: UnitCounts[] = [];
  const jobs = fileJobs(files, context);
  for await (const { input, output } of context.pool.map<FileJob, CountJobResult>(
    WORKER,
    jobs,
    context.options.signal,
  )) {
    for (const { counts } of output.parts) if (counts) units.push(counts);
    if (!input.last) continue;
    const file = files[input.file]!;
    yield shardCounts(file, input.layout, units, place, context);
    units = [];
    done += file.size;
    context.progress(done, total, "bytes");
  }
}

async function* fileJobs(files: readonly ManifestFile[], context: RecountContext): AsyncGenerator<PoolTask<FileJob>> {
  const { manifest, root, tokenizer, transform, options } = context;
  const columns: ColumnSelection = {
    text: manifest.columns.text,
    ...(manifest.columns.domain !== null && { domain: manifest.columns.domain }),
    ...(transform && transform.columns.length > 0 && { extra: transform.columns }),
  };
  for (const [index, claimed] of files.entries()) {
    const path = await resolveInside(root, claimed.path, options);
    const known = knownState(claimed);
    const file = await storage.open(path, known);
    const layout = await inspectShard(file, columns).finally(() => file.close());
    const common = { file: index, layout, tokenizers: [tokenizer], tolerate: false };
    // A job without parts closes a file without units.
    if (layout.units.length === 0) yield { memoryBytes: 0, input: { ...common, last: true, parts: [] } };
    for (const [i, unit] of layout.units.entries()) {
      yield {
        memoryBytes: unit.memoryBytes,
        input: {
          ...common,
          last: i === layout.units.length - 1,
          parts: [
            {
              path,
              hash: false,
              known: known ?? null,
              unit: {
                path,
                ...(known && { version: known.version }),
                layout,
                unit,
                textColumn: manifest.columns.text,
                domainColumn: manifest.columns.domain,
                domain: claimed.domain,
                transform,
                ...(manifest.badDocuments && { onBadDocument: manifest.badDocuments.policy }),
              },
            },
          ],
        },
      };
    }
  }
}

/** A manifest without a rule: a value is its domain's name, and others are none of its documents. */
const NAMES: DomainRule = { map: null, listed: null, unlisted: "drop" };

function shardCounts(
  claimed: ManifestFile,
  layout: ShardLayout,
  units: readonly UnitCounts[],
  place: ReadonlyMap<string, number>,
  { manifest, transform }: Pick<RecountContext, "manifest" | "transform">,
): ShardCounts {
  const rule = ruleWithin(manifest.domainRule ?? NAMES, claimed);
  const rows = units.reduce((sum, unit) => sum + unit.rows, 0);
  const domain = new Int32Array(rows).fill(-1);
  const bytes = new Uint32Array(rows);
  const tokens = new Uint32Array(rows);
  let at = 0;
  for (const unit of units) {
    const placeOf = domainPlaces(unit.domainNames, rule, place);
    for (let row = 0; row < unit.rows; row++) domain[at + row] = placeOf(unit.domain[row]!);
    bytes.set(unit.bytes, at);
    tokens.set(unit.tokens[0]!, at);
    at += unit.rows;
  }
  const unitRows = units.map((unit) => unit.rows);
  const rowGroups = rowGroupsOf(layout.format, unitRows, transform !== null);
  return { file: { ...claimed, size: layout.size, format: layout.format, rows, rowGroups }, domain, bytes, tokens };
}
