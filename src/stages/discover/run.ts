/**
 * discover: expands the patterns, opens every shard far enough to know its parts, and reports what is missing.
 * Layouts of shards that have not changed since the last run are taken over.
 */
import { join, sep } from "node:path";
import { inspectShard } from "../../formats/read.ts";
import type { ColumnSelection, ShardLayout, ShardUnit } from "../../formats/shard.ts";
import { DoremiError, toPlainError } from "../../lib/errors.ts";
import { hashJsonLines, readJsonLines, writeJsonLines } from "../../lib/json-lines.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { domainOf, isRefused } from "../../manifest/domain-rule.ts";
import { storage } from "../../storage/files.ts";
import { isRemote, relativeLocation } from "../../storage/location.ts";
import { AHEAD_PIECES, PIECE_BYTES } from "../../storage/object-file.ts";
import type { FileStat } from "../../storage/storage.ts";
import { throwIfAborted } from "../pool.ts";
import { reporter, type Stage, type StageContext } from "../stage.ts";
import {
  type DiscoveredShard,
  type DiscoverInput,
  type DiscoverOutput,
  discoverInput,
  discoverOutput,
  type FilesRange,
} from "./contract.ts";
import { corpusFiles, noMatchText } from "./files.ts";
import { rangeOf } from "./partition.ts";

/** shards opened at once */
const CONCURRENCY = 16;
/** files whose size and time are asked for at once */
const STATS = 64;

interface Candidate {
  readonly path: string; // absolute, or a URI
  /** what the path or the table of domains says, before the rule on domains */
  readonly value: string | null;
  readonly domain: string | null;
  readonly split: "train" | "held-out";
}

/** The shards in a stage's folder: see readShards. */
export const SHARDS = "shards.jsonl";

export const discover: Stage<DiscoverInput, DiscoverOutput> = {
  name: "discover",
  version: 2,
  always: true,
  reads: [],
  checkedByReaders: true,
  input: discoverInput,
  output: discoverOutput,
  async run(input, context) {
    const { output, shards } = await discoverShards(input, context);
    await writeJsonLines(join(context.folder, SHARDS), shards);
    return output;
  },
};

/** All that discover finds, and its output, without writing anything. */
export async function discoverShards(
  input: DiscoverInput,
  context: Pick<StageContext, "previous" | "signal" | "emit">,
): Promise<{ output: DiscoverOutput; shards: DiscoveredShard[] }> {
  const report = reporter(context, "discover");
  const { candidates, listed, kept, unlisted, root, passedOver } = await findCandidates(input);
  if (passedOver.size > 0) {
    report.note(`what doremi wrote is no part of the corpus, and was passed over: ${[...passedOver].join(", ")}`);
  }
  if (unlisted.size > 0) {
    report.note(
      `${candidates - kept.length} files are of domains that data.domains does not list: ${[...unlisted].join(", ")}`,
    );
  }
  const part = input.part && (await findPart(kept, input.part, root, context.signal));
  const own = part ? kept.slice(part.start, part.end) : kept;
  const known = await previousLayouts(context, input, root);
  const shards: DiscoveredShard[] = [];
  const skipped: DiscoverOutput["skipped"] = [];
  for (let at = 0; at < own.length; at += CONCURRENCY) {
    throwIfAborted(context.signal);
    const opened = await Promise.allSettled(
      own.slice(at, at + CONCURRENCY).map((file) => openShard(file, root, input, known)),
    );
    for (const result of opened) {
      if (result.status === "rejected") throw result.reason; // the first in order, whichever failed first
      const shard = result.value;
      if ("layout" in shard) shards.push(shard);
      else {
        skipped.push(shard);
        report.note(`left out ${shard.path}: ${shard.reason}`);
      }
    }
    report.progress(Math.min(at + CONCURRENCY, own.length), own.length, "shards");
  }
  if (!part && !shards.some((shard) => shard.split === "train")) {
    throw new DoremiError(
      "bad-data",
      "no-readable-shard",
      `none of the ${kept.length} shards can be read; see the notes above`,
    );
  }
  const { textColumn, domainColumn, extraColumns } = input;
  const list = { path: SHARDS, sha256: hashJsonLines(shards), shards: shards.length };
  const output = { root, textColumn, domainColumn, extraColumns, domains: listed, shards: list, skipped };
  return { output: part ? { ...output, part } : output, shards };
}

/** Which of the files the part is, and the fingerprint of all: parts of another list do not belong together. */
async function findPart(
  files: readonly Candidate[],
  part: NonNullable<DiscoverInput["part"]>,
  root: string,
  signal: AbortSignal,
): Promise<FilesRange> {
  const sizes: number[] = [];
  for (let at = 0; at < files.length; at += STATS) {
    throwIfAborted(signal);
    const stats = await Promise.all(files.slice(at, at + STATS).map(({ path }) => storage.stat(path)));
    sizes.push(...stats.map(({ size }) => size));
  }
  // Without their versions: machines need not see the same times and numbers of a file that they share.
  const list = files.map(({ path, domain, split }, i) => [relativeLocation(root, path), domain, split, sizes[i]]);
  const range = "index" in part ? rangeOf(sizes, part) : part;
  return { ...range, files: files.length, corpus: hashJsonLines(list) };
}

/** The fingerprint of all files and how they are divided, without opening any. */
export async function describeCorpus(input: DiscoverInput, signal: AbortSignal): Promise<FilesRange> {
  const { kept, root } = await findCandidates(input);
  return findPart(kept, input.part ?? { index: 0, of: 1 }, root, signal);
}

/** The files that belong to the corpus, in order, and the domains as far as paths tell them. */
async function findCandidates(input: DiscoverInput) {
  const passedOver = new Set<string>();
  const candidates = await findFiles(input, passedOver);
  const listed = listDomains(input, candidates);
  const rule = { ...input.domains, listed };
  const kept: Candidate[] = [];
  const unlisted = new Set<string>();
  for (const file of candidates) {
    // With a domain column the rows say the domain, whatever the path says.
    const domain = input.domainColumn === null ? domainOf(rule, file.value) : null;
    if (input.domainColumn !== null || domain !== null) kept.push({ ...file, domain });
    else if (input.domains.listed === null && isRefused(rule, file.value)) throw unlistedFile(file, listed ?? []);
    else unlisted.add(file.value ?? "(none)");
  }
  const root = commonFolder(kept.map((file) => file.path));
  return { candidates: candidates.length, listed, kept, unlisted, root, passedOver };
}

/** @param folder of the discover stage */
export function readShards(folder: string, { path, sha256 }: DiscoverOutput["shards"]): Promise<DiscoveredShard[]> {
  return readJsonLines<DiscoveredShard>(join(folder, path), sha256);
}

/** @param passedOver takes the folders in which patterns find what doremi wrote */
async function findFiles(input: DiscoverInput, passedOver: Set<string>): Promise<Candidate[]> {
  const filesOf = async (pattern: string) => {
    const result = await corpusFiles(pattern);
    for (const folder of result.passedOver) passedOver.add(folder);
    return result;
  };
  const found = new Map<string, Candidate>();
  for (const source of input.sources) {
    for (const pattern of source.patterns) {
      const { files, ...passed } = await filesOf(pattern);
      if (files.length === 0) {
        const who = source.domain === null ? "" : `domain “${source.domain}”: `;
        throw new DoremiError(
          "missing-input",
          "no-match",
          `${who}no file matches ${pattern}; check data.files (globs are relative to the pipeline file)${await noMatchText(pattern, passed.passedOver, source.domain === null && input.domainColumn === null)}`,
          { file: pattern },
        );
      }
      for (const file of files) {
        const domain = source.domain ?? file.domain;
        const earlier = found.get(file.path);
        if (earlier && earlier.value !== domain) {
          throw new DoremiError(
            "bad-configuration",
            "file-in-two-domains",
            `${file.path}: a file belongs to one domain, found in “${earlier.value}” and “${domain}”; make the patterns disjoint`,
            { file: file.path },
          );
        }
        found.set(file.path, { path: file.path, value: domain, domain: null, split: "train" });
      }
    }
  }
  for (const pattern of input.heldOutPatterns) {
    const { files, ...passed } = await filesOf(pattern);
    if (files.length === 0) {
      throw new DoremiError(
        "missing-input",
        "no-match",
        `no file matches ${pattern}; check data.heldOut.files${await noMatchText(pattern, passed.passedOver, input.domainColumn === null)}`,
        {
          file: pattern,
        },
      );
    }
    // A file of data.files is known by its domain there, where the pattern here does not say one.
    const saidOf = (file: (typeof files)[number]) => file.domain ?? found.get(file.path)?.value ?? null;
    const unnamed = files.find((file) => saidOf(file) === null);
    if (unnamed && input.domainColumn === null) {
      throw new DoremiError(
        "bad-configuration",
        "no-domain",
        `${unnamed.path}: nothing says which domain this held-out file belongs to; put {domain} into data.heldOut.files, take a file of data.files, or set data.domainColumn`,
        { file: unnamed.path },
      );
    }
    // A file that both patterns match is held out: data.files may well say part of it, as in {domain}/*.parquet.
    for (const file of files) {
      found.set(file.path, { path: file.path, value: saidOf(file), domain: null, split: "held-out" });
    }
  }
  const byCodeUnit = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return [...found.values()].sort((a, b) => byCodeUnit(a.path, b.path));
}

/** The domains in order, or null where only the rows can tell. */
function listDomains({ domains: rule, domainColumn }: DiscoverInput, files: readonly Candidate[]): string[] | null {
  if (domainColumn !== null) return rule.listed;
  const train = files.filter((file) => file.split === "train");
  const inPaths = new Set(train.flatMap((file) => domainOf(rule, file.value) ?? []));
  if (rule.listed) {
    // The domain of what is not listed may well be empty.
    const rest = typeof rule.unlisted === "object" ? rule.unlisted.domain : undefined;
    for (const name of rule.listed) {
      if (!inPaths.has(name) && name !== rest) {
        throw new DoremiError(
          "missing-input",
          "empty-domain",
          `domain “${name}”: no file matches${didYouMean(name, new Set(train.flatMap((file) => file.value ?? [])))}`,
        );
      }
    }
    return rule.listed.filter((name) => inPaths.has(name));
  }
  if (inPaths.size === 0) {
    throw new DoremiError(
      "bad-configuration",
      "no-domain",
      "nothing says which domain a document belongs to; put {domain} into data.files, or set data.domainColumn or data.domains",
    );
  }
  return [...inPaths].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function unlistedFile(file: Candidate, listed: readonly string[]): DoremiError {
  return new DoremiError(
    "bad-data",
    "unlisted-domain",
    `${file.path}: its domain ${file.value === null ? "is empty" : `“${file.value}” is not among ${listed.join(", ")}`}; list it in data.domains, or set data.onUnlistedDomain to drop or a domain`,
    { file: file.path },
  );
}

async function openShard(
  file: Candidate,
  root: string,
  input: DiscoverInput,
  known: ReadonlyMap<string, DiscoveredShard>,
): Promise<DiscoveredShard | DiscoverOutput["skipped"][number]> {
  const path = relativeLocation(root, file.path);
  const columns: ColumnSelection = {
    text: input.textColumn,
    ...(input.domainColumn !== null && { domain: input.domainColumn }),
    ...(input.extraColumns.length > 0 && { extra: input.extraColumns }),
  };
  const state = await storage.stat(file.path);
  const { version, size } = state;
  try {
    const earlier = known.get(path);
    const same = earlier !== undefined && earlier.version === version && earlier.layout.size === size;
    const layout = same ? earlier.layout : await layoutOf(file.path, state, columns);
    return { path, domain: file.domain, split: file.split, version, layout };
  } catch (error) {
    const plain = toPlainError(error);
    if (input.onBadShard === "fail") throw withRemedy(error);
    if (plain.kind !== "bad-data") throw error;
    return { path, code: plain.code, reason: plain.message, domain: file.domain, bytes: size };
  }
}

/** Of the columns, which are the settings' matter: no shard is broken that lacks one. */
const OF_COLUMNS = new Set(["missing-column", "wrong-column-type"]);

function withRemedy(error: unknown): unknown {
  if (!(error instanceof DoremiError) || error.kind !== "bad-data" || OF_COLUMNS.has(error.code)) return error;
  const { kind, code, message, file, rowGroup, line } = error;
  return new DoremiError(kind, code, `${message}; write the shard anew, or pass it over with data.onBadShard: skip`, {
    ...(file !== undefined && { file }),
    ...(rowGroup !== undefined && { rowGroup }),
    ...(line !== undefined && { line }),
    cause: error,
  });
}

async function layoutOf(path: string, state: FileStat, columns: ColumnSelection): Promise<DiscoveredShard["layout"]> {
  const file = await storage.open(path, state);
  try {
    const layout: ShardLayout = await inspectShard(file, columns);
    return { ...layout, units: layout.units.map((unit) => (isRemote(path) ? withReadAhead(unit) : unit)) };
  } finally {
    await file.close();
  }
}

/** What is fetched ahead of the reader takes memory, too. */
function withReadAhead(unit: ShardUnit): ShardUnit {
  const ahead = Math.min(unit.storedBytes, AHEAD_PIECES * PIECE_BYTES);
  return { ...unit, memoryBytes: unit.memoryBytes + ahead };
}

/** Layouts found by the last run, by path, when it looked at the same columns under the same root. */
async function previousLayouts(
  { previous }: Pick<StageContext, "previous">,
  input: DiscoverInput,
  root: string,
): Promise<Map<string, DiscoveredShard>> {
  const found = discoverOutput.safeParse(previous?.output);
  if (!previous || !found.success) return new Map();
  const { data } = found;
  const columns = (of: DiscoverInput | DiscoverOutput) =>
    JSON.stringify([of.textColumn, of.domainColumn, of.extraColumns]);
  if (data.root !== root || columns(data) !== columns(input)) return new Map();
  const shards = await readShards(previous.folder, data.shards).catch(() => []); // lost or torn: looked at again
  return new Map(shards.map((shard) => [shard.path, shard]));
}

/** The deepest folder that holds all the files of this machine; empty where there are none. */
export function commonFolder(locations: readonly string[]): string {
  const paths = locations.filter((location) => !isRemote(location));
  if (paths.length === 0) return "";
  let parts = (paths[0] ?? sep).split(sep).slice(0, -1);
  for (const path of paths) {
    const other = path.split(sep).slice(0, -1);
    let same = 0;
    while (same < parts.length && same < other.length && parts[same] === other[same]) same++;
    parts = parts.slice(0, same);
  }
  return parts.join(sep) || sep;
}
