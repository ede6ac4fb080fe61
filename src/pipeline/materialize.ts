/**
 * From a manifest's path and a user's wishes to a materialized set: finds the tokenizer and the files, settles what was
 * left open, keeps others out of the output folder, and goes on where an earlier run stopped.
 */
import { rm, rmdir, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { DoremiError, explainSystemError } from "../lib/errors.ts";
import { makeFolder } from "../lib/make-folder.ts";
import type { Manifest } from "../manifest/contract.ts";
import { loadManifest } from "../manifest/load.ts";
import {
  type Compression,
  MATERIALIZED_NAME,
  type MaterializedSet,
  type OutputFormatName,
} from "../manifest/materialized.ts";
import { type RootOptions, resolveInside, rootOf } from "../manifest/paths.ts";
import type { OutputFormat } from "../stages/materialize/output-format.ts";
import { outputFormat } from "../stages/materialize/outputs.ts";
import type { MaterializeSettings } from "../stages/materialize/plan.ts";
import { materializeSet } from "../stages/materialize/run.ts";
import { claimFolder, finishedSet, SetState, setKey } from "../stages/materialize/state.ts";
import { SetUpload } from "../stages/materialize/upload.ts";
import { DEFAULT_POOL_MEMORY, WorkerPool } from "../stages/pool.ts";
import type { StageEvent } from "../stages/stage.ts";
import { hashOf } from "../storage/files.ts";
import { folderOf, isRemote, resolveLocation, signedLocation } from "../storage/location.ts";
import type { TokenizerDescriptor } from "../tokenizer/tokenizer.ts";
import { lockFolder } from "./folder-lock.ts";
import { outputUri, workFolderOf } from "./publish.ts";
import { manifestTokenizer, manifestTransform } from "./verify.ts";

export interface MaterializeOptions extends RootOptions {
  /** folder of the set, or its URI */
  readonly output: string;
  /** folder to work in where the output is a URI; default: one of the user's cache, of every URI its own */
  readonly workDir?: string;
  readonly format: OutputFormatName;
  /** default: mixed */
  readonly layout?: MaterializedSet["layout"];
  /** default: written */
  readonly repeats?: MaterializedSet["repeats"];
  /** id behind every document; default "auto": the tokenizer's end of text, where it has one */
  readonly separator?: "auto" | "none" | number;
  /** of a shard before compression, bytes, about; default: 512 MiB, or what the format can hold */
  readonly shardBytes?: number;
  /** in a shard, in place of a size */
  readonly shardDocuments?: number;
  /** default: the format's */
  readonly compression?: Compression;
  readonly workers?: number;
  /** of the documents in flight, bytes */
  readonly memoryBytes?: number;
  /** to work in, in place of one of its own; the caller closes it, which ends what an abort leaves running */
  readonly pool?: WorkerPool;
  /** tokenizer.json, when the manifest was moved away from the one that it names */
  readonly tokenizer?: string;
  /** run the transform module that the manifest names; it is code, so it is not run unasked */
  readonly allowTransform?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StageEvent) => void;
}

export interface MaterializeResult {
  readonly status: "done" | "unchanged";
  /** absolute, or a URI */
  readonly output: string;
  readonly set: MaterializedSet;
}

/** @param path of manifest.json  @throws DoremiError */
export async function materialize(path: string, options: MaterializeOptions): Promise<MaterializeResult> {
  const uri = isRemote(options.output) ? outputUri(options.output) : null;
  const output = resolve(
    uri === null ? options.output : (options.workDir ?? workFolderOf(`${uri}/${MATERIALIZED_NAME}`)),
  );
  const manifest = await loadManifest(path);
  const manifestPath = resolveLocation(process.cwd(), path);
  const base = folderOf(manifestPath);
  const format = outputFormat(options.format);
  const tokenizer = await manifestTokenizer(manifest, base, options);
  const transform = await manifestTransform(manifest, base, options);
  const settings = settle(manifest, format, tokenizer, options);
  const { sha256: manifestSha256 } = await hashOf(manifestPath, { signal: options.signal });
  const state = new SetState(output, setKey(manifestSha256, settings));
  await refuseFile(output);
  const upload = uri === null ? null : await SetUpload.open(uri);
  const before = await (upload ? upload.finished(state.key, await state.isClaimed()) : finishedSet(output, state.key));
  if (before) {
    await state.remove();
    return { status: "unchanged", output: uri ?? output, set: before };
  }
  const selectionPath = await checkedSelection(base, manifest, options.signal);
  const root = rootOf(path, manifest, options);
  const sources = await Promise.all(
    manifest.files.map(async (file) => signedLocation(await resolveInside(root, file.path, options))),
  );

  await makeFolder(state.folder);
  const lock = await lockFolder(state.folder, output);
  const pool =
    options.pool ??
    new WorkerPool({
      workers: options.workers ?? availableParallelism(),
      memoryBytes: options.memoryBytes ?? DEFAULT_POOL_MEMORY,
    });
  let set: MaterializedSet;
  try {
    await claimFolder(output, state, settings);
    set = await materializeSet({
      manifest,
      manifestSha256,
      manifestPath,
      selectionPath,
      sources,
      tokenizer,
      transform,
      settings,
      format,
      output,
      state,
      upload,
      pool,
      signal: options.signal ? AbortSignal.any([options.signal, lock.lost]) : lock.lost,
      emit: options.onEvent ?? (() => {}),
    });
  } catch (error) {
    throw lock.lost.aborted ? lock.lost.reason : explainSystemError(error, output);
  } finally {
    if (!options.pool) await pool.close();
    await lock.release();
  }
  await state.remove();
  if (uri !== null) await removeLocal(output, set);
  return { status: "done", output: uri ?? output, set };
}

/** What stood beside the shards is in the store now as well; the folder goes too where nothing else is in it. */
async function removeLocal(output: string, { groups, files }: MaterializedSet): Promise<void> {
  for (const path of [...files.map((file) => file.path), MATERIALIZED_NAME])
    await rm(join(output, path), { force: true });
  for (const { folder } of groups) if (folder !== ".") await rmdir(join(output, folder)).catch(() => {});
  await rmdir(output).catch(() => {});
}

async function refuseFile(output: string): Promise<void> {
  const found = await stat(output).catch(() => null);
  if (found === null || found.isDirectory()) return;
  throw unusable(`--output: must be a folder, and ${output} is none; choose another`);
}

/** Of a shard, bytes, unless the format holds less. */
const SHARD_BYTES = 512 << 20;

/** What was left open, settled; what the format or a trainer cannot do, refused. */
function settle(
  manifest: Manifest,
  format: OutputFormat,
  tokenizer: TokenizerDescriptor,
  { layout = "mixed", repeats = "written", shardBytes, shardDocuments, ...options }: MaterializeOptions,
): MaterializeSettings {
  const repeated = manifest.domains.find((domain) => domain.selectedDocuments > domain.documents);
  if (repeats === "once" && layout === "mixed" && repeated) {
    throw unusable(
      `--repeats once: domain ${repeated.name} is seen more than once, and a trainer can repeat it by itself only where it ` +
        "has files of its own; add --layout domain, or leave the repeats in (--repeats written)",
    );
  }
  if (shardBytes !== undefined && shardDocuments !== undefined) {
    throw unusable("--shard-size and --shard-documents: give one of the two");
  }
  const { maxShardBytes = Number.POSITIVE_INFINITY } = format;
  if (shardBytes !== undefined && shardBytes > maxShardBytes) {
    throw unusable(`--shard-size: a shard of ${format.name} holds at most ${maxShardBytes} bytes, got ${shardBytes}`);
  }
  return {
    output: format.name,
    layout,
    repeats,
    separator: separatorOf(format, tokenizer, options.separator ?? "auto"),
    compression: compressionOf(format, options.compression),
    shards:
      shardDocuments !== undefined
        ? { documents: shardDocuments }
        : { bytes: shardBytes ?? Math.min(SHARD_BYTES, Math.floor(maxShardBytes / 2)) },
  };
}

function separatorOf(
  format: OutputFormat,
  { name, vocabularySize, endOfText }: TokenizerDescriptor,
  wanted: "auto" | "none" | number,
): number | null {
  if (format.content === "text") {
    if (typeof wanted !== "number") return null;
    throw unusable(`--separator: ${format.name} holds texts, each by itself, so there is nothing to separate`);
  }
  if (typeof wanted === "number" && wanted >= vocabularySize) {
    throw unusable(`--separator: ids of ${name} are below ${vocabularySize}, got ${wanted}`);
  }
  const separator = wanted === "auto" ? endOfText : wanted === "none" ? null : wanted;
  if (separator === null && format.needsSeparator !== undefined) {
    const found = wanted === "none" ? "" : ` and ${name} has no end-of-text token`;
    throw unusable(`--separator: ${format.needsSeparator}${found}; give the id of a token that is in no document`);
  }
  return separator;
}

function compressionOf(format: OutputFormat, wanted: Compression | undefined): Compression | null {
  const { compressions = [] } = format;
  if (wanted === undefined) return compressions[0] ?? null;
  if (compressions.includes(wanted)) return wanted;
  const choice = compressions.length === 0 ? "leaves no choice" : `can be ${compressions.join(" or ")}`;
  throw unusable(`--compression: that of ${format.name} ${choice}, got ${wanted}`);
}

function unusable(message: string): DoremiError {
  return new DoremiError("usage", "bad-materialize-settings", message);
}

/** Path of the manifest's selection, which is the one that was written with it. */
async function checkedSelection(base: string, { selection }: Manifest, signal?: AbortSignal): Promise<string> {
  const path = await resolveInside(base, selection.path);
  if ((await hashOf(path, { signal })).sha256 === selection.sha256) return path;
  throw new DoremiError(
    "bad-data",
    "changed-selection",
    `${path}: is not the selection that the manifest was written with (its SHA-256 differs); bring it back, or write ` +
      "both anew with `doremi resample`",
    { file: path },
  );
}
