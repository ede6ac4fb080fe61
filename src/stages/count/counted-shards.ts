/** What counting found, for the stages after it: the shards, and the row counts of each with its domains decided. */
import { join } from "node:path";
import { readJsonLines } from "../../lib/json-lines.ts";
import type { GroupCounts, ManifestFile } from "../../manifest/contract.ts";
import { type DomainRule, domainOf, ruleWithin } from "../../manifest/domain-rule.ts";
import type { CountedShard, CountOutput } from "./contract.ts";
import { type CountsFile, readCountsFile } from "./counts-file.ts";
import { NO_DOMAIN } from "./unit-rows.ts";

/** Counts files that are kept in memory: small shards share one, and are asked for one after the other. */
const OPEN_FILES = 16;

/** Row by row what a shard holds. */
export interface ShardRowCounts {
  /** index into the corpus's domains; −1 where the row is none of its documents */
  readonly domain: Int32Array;
  readonly bytes: Uint32Array;
  readonly tokens: Uint32Array;
}

/** @param folder of the count stage */
export function readCountedShards(folder: string, { path, sha256 }: CountOutput["shards"]): Promise<CountedShard[]> {
  return readJsonLines<CountedShard>(join(folder, path), sha256);
}

export function manifestFile(shard: CountedShard): ManifestFile {
  const { path, size, sha256, version, format, rows, rowGroups, domain } = shard;
  return { path, size, sha256, ...(version !== undefined && { version }), format, rows, rowGroups, domain };
}

/** Totals of a shard's row groups under one tokenizer. @param domains names in the order of the indices that are given out */
export function readGroupCounts(shard: CountedShard, tokenizer: string, domains: readonly string[]): GroupCounts {
  const size = shard.rowGroups.length * domains.length;
  const counts: GroupCounts = {
    file: manifestFile(shard),
    documents: new Float64Array(size),
    bytes: new Float64Array(size),
    tokens: new Float64Array(size),
  };
  for (const [d, domain] of domains.entries()) {
    if (!Object.hasOwn(shard.groups, domain)) continue;
    const { documents, bytes, tokens } = shard.groups[domain]!;
    for (let group = 0; group < shard.rowGroups.length; group++) {
      const at = group * domains.length + d;
      counts.documents[at] = documents[group]!;
      counts.bytes[at] = bytes[group]!;
      counts.tokens[at] = tokens[tokenizer]![group]!;
    }
  }
  return counts;
}

/** Reads row counts under one tokenizer. */
export class RowCountsReader {
  readonly #folder: string;
  readonly #tokenizer: string;
  readonly #rule: DomainRule;
  readonly #place: ReadonlyMap<string, number>;
  readonly #open = new Map<string, Promise<CountsFile>>();

  /** @param folder of the count stage @param domains names in the order of the indices that are given out */
  constructor(folder: string, tokenizer: string, rule: DomainRule, domains: readonly string[]) {
    this.#folder = folder;
    this.#tokenizer = tokenizer;
    this.#rule = rule;
    this.#place = new Map(domains.map((name, index) => [name, index]));
  }

  /** All rows of the shard, in order. @throws DoremiError corrupt-counts */
  async read({ counts, rows, domain }: Pick<CountedShard, "counts" | "rows" | "domain">): Promise<ShardRowCounts> {
    const file = await this.#file(counts);
    const [start, end] = [counts.rowStart, counts.rowStart + rows];
    const place = domainPlaces(file.domainNames, ruleWithin(this.#rule, { domain }), this.#place);
    return {
      domain: file.domain.subarray(start, end).map((index) => place(index)),
      bytes: file.bytes.subarray(start, end),
      tokens: file.tokens(this.#tokenizer).subarray(start, end),
    };
  }

  #file({ path, sha256 }: CountedShard["counts"]): Promise<CountsFile> {
    let file = this.#open.get(path);
    if (file === undefined) {
      if (this.#open.size >= OPEN_FILES) this.#open.delete(this.#open.keys().next().value!);
      file = readCountsFile(join(this.#folder, path), sha256);
      this.#open.set(path, file);
    }
    return file;
  }
}

/** From a value of the column `domain` to the corpus's domain. */
export function domainPlaces(
  names: readonly string[],
  rule: DomainRule,
  place: ReadonlyMap<string, number>,
): (index: number) => number {
  const placeOf = (value: string | null) => {
    const domain = domainOf(rule, value);
    return domain === null ? -1 : (place.get(domain) ?? -1);
  };
  const places = names.map(placeOf);
  const unnamed = placeOf(null);
  return (index) => (index >= 0 ? places[index]! : index === NO_DOMAIN ? unnamed : -1);
}
