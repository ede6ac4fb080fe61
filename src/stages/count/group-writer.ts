/**
 * The counts files of a count: one for each group of shards, put together from what was counted now and what was counted
 * before. The same shards give the same bytes, whichever way their counts came.
 */
import { join } from "node:path";
import { toPlainError } from "../../lib/errors.ts";
import { isRemote, joinLocation } from "../../storage/location.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import type { DiscoveredShard } from "../discover/contract.ts";
import type { StageContext } from "../stage.ts";
import { badOfShard, badOfUnits } from "./bad.ts";
import type { CountedShard, CountInput } from "./contract.ts";
import { type CountsFile, readCountsFile, writeCountsFile } from "./counts-file.ts";
import {
  addToCache,
  contentHash,
  type Hit,
  type KeptFile,
  type KeptShard,
  linkOrCopy,
  placeOf,
  writeKeptList,
} from "./kept.ts";
import { groupTotals, refuseUnlisted, shardTotals, valueTotals } from "./totals.ts";
import type { UnitRows } from "./unit-rows.ts";
import type { UnitCounts } from "./worker.ts";

/** Counts of a shard that was counted in this run. */
export interface ShardCounts {
  readonly sha256: string;
  readonly units: readonly UnitCounts[];
}

interface Member {
  readonly shard: DiscoveredShard;
  readonly counts: Hit | ShardCounts;
}

type Input = CountInput & { readonly tokenizers: readonly TokenizerDescriptor[] };

export class GroupWriter {
  readonly #context: StageContext;
  readonly #input: Input;
  readonly #tokenizers: readonly string[];
  readonly #profile: string;
  readonly #note: (message: string) => void;
  #cache: string | undefined;
  /** the kept file that was read last: neighbours lie in the same */
  #open: { readonly of: KeptFile; readonly file: CountsFile } | undefined;

  constructor(context: StageContext, input: Input, profile: string, note: (message: string) => void) {
    this.#context = context;
    this.#input = input;
    this.#tokenizers = input.tokenizers.map((tokenizer) => tokenizer.name);
    this.#profile = profile;
    this.#note = note;
    this.#cache = context.cache;
  }

  /** @throws DoremiError unlisted-domain, missing-domain */
  async write(group: number, members: readonly Member[]): Promise<CountedShard[]> {
    if (members.length === 0) return [];
    const name = `${String(group).padStart(5, "0")}.counts.arrow`;
    const path = join(this.#context.folder, name);
    const whole = this.#wholeFile(members);
    const written = whole ? await this.#takeOver(whole, path, members) : await this.#putTogether(path, members);
    const counted = members.map(({ shard }, i) =>
      this.#describe(shard, written.shards[i]!, { path: name, sha256: written.sha256 }),
    );
    if (members.some(({ counts }) => "units" in counts)) await this.#share(path, written.sha256);
    return counted;
  }

  /** The kept file that holds exactly these shards in this order, as they would be written. */
  #wholeFile(members: readonly Member[]): KeptFile | undefined {
    const [first] = members;
    const file = first && isHit(first.counts) ? first.counts.file : undefined;
    if (!file || file.shards !== members.length || file.tokenizers.length !== this.#input.tokenizers.length) return;
    const isSame = this.#input.tokenizers.every(
      ({ name, fingerprint }, t) =>
        file.tokenizers[t]!.name === name && file.tokenizers[t]!.fingerprint === fingerprint,
    );
    if (!isSame) return;
    let rowStart = 0;
    for (const { shard, counts } of members) {
      if (!isHit(counts) || counts.file !== file || counts.shard.domain !== shard.domain) return;
      if (counts.shard.rowStart !== rowStart) return;
      rowStart += sum(counts.shard.unitRows);
    }
    return file;
  }

  async #takeOver(file: KeptFile, path: string, members: readonly Member[]) {
    const shards = members.map(({ shard, counts }) => ({ ...(counts as Hit).shard, ...this.#stateOf(shard) }));
    if (file.path !== path) await linkOrCopy(file.path, path);
    await this.#list(path, file.sha256, shards);
    return { sha256: file.sha256, shards };
  }

  async #putTogether(path: string, members: readonly Member[]) {
    const names = new Map<string, number>();
    const units: UnitRows[] = [];
    const shards: KeptShard[] = [];
    let rowStart = 0;
    for (const { shard, counts } of members) {
      const read = isHit(counts) ? await this.#read(counts, shard) : counts.units;
      const own = read.map((unit) => ({ ...unit, domain: renumbered(unit, names) }));
      const unitRows = own.map((unit) => unit.rows);
      const totals = valueTotals(own, [...names.keys()], this.#tokenizers.length);
      const { sha256 } = isHit(counts) ? counts.shard : counts;
      const bad = isHit(counts) ? counts.shard.bad : badOfUnits(counts.units);
      shards.push({ ...this.#stateOf(shard), sha256, rowStart, unitRows, totals, ...(bad && { bad }) });
      units.push(...own);
      rowStart += sum(unitRows);
    }
    this.#open = undefined; // it may be the file that is replaced now
    const sha256 = await writeCountsFile(path, units, [...names.keys()], this.#tokenizers);
    await this.#list(path, sha256, shards);
    return { sha256, shards };
  }

  /** A shard's units out of a kept file. */
  async #read({ file: of, shard: kept }: Hit, shard: DiscoveredShard): Promise<UnitCounts[]> {
    if (this.#open?.of !== of) this.#open = { of, file: await readCountsFile(of.path, of.sha256) };
    const { file } = this.#open;
    const tokens = this.#input.tokenizers.map((tokenizer) => file.tokens(of.tokenizers[placeOf(tokenizer, of)]!.name));
    // Content that lay under the path of another domain: all of it is of this one.
    const moved = shard.domain === null || shard.domain === kept.domain ? undefined : [shard.domain];
    let start = kept.rowStart;
    return kept.unitRows.map((rows) => {
      const end = start + rows;
      const domain = file.domain.subarray(start, end);
      const unit: UnitCounts = {
        rows,
        domainNames: moved ?? file.domainNames,
        domain: moved ? domain.map((index) => Math.min(index, 0)) : domain,
        bytes: file.bytes.subarray(start, end),
        tokens: tokens.map((counts) => counts.subarray(start, end)),
      };
      start = end;
      return unit;
    });
  }

  #stateOf({ path, domain, version, layout }: DiscoveredShard) {
    return { path: joinLocation(this.#input.root, path), domain, version, size: layout.size };
  }

  async #list(path: string, sha256: string, shards: readonly KeptShard[]): Promise<void> {
    const tokenizers = this.#input.tokenizers.map(({ name, fingerprint }) => ({ name, fingerprint }));
    await writeKeptList(path, { profile: this.#profile, tokenizers, sha256 }, shards);
  }

  #describe(
    shard: DiscoveredShard,
    { sha256, unitRows, totals: values, rowStart, bad }: KeptShard,
    file: Pick<CountedShard["counts"], "path" | "sha256">,
  ): CountedShard {
    const { domains: rule, transform } = this.#input;
    const { path, split, domain, layout } = shard;
    refuseUnlisted(values, shard, rule, joinLocation(this.#input.root, path));
    const rows = sum(unitRows);
    const totals = shardTotals(values, shard, rule, this.#tokenizers);
    const rowGroups = rowGroupsOf(layout.format, unitRows, transform !== null);
    const documents = sum(Object.values(totals).map((counted) => counted.documents));
    return {
      path,
      size: layout.size,
      sha256: contentHash(sha256),
      ...(isRemote(path) && { version: shard.version }),
      format: layout.format,
      split,
      domain,
      rows,
      rowGroups,
      units: layout.units,
      unitRows: [...unitRows],
      droppedRows: rows - documents,
      totals,
      groups: groupTotals(values, shard, rule, this.#tokenizers, rowGroups.length),
      ...(bad && { bad: badOfShard(bad, { domain, unitRows: [...unitRows], rowGroups }, rule) }),
      counts: { ...file, rowStart },
    };
  }

  /** A cache that cannot be written costs a later run its time, and this one nothing. */
  async #share(path: string, sha256: string): Promise<void> {
    if (this.#cache === undefined) return;
    try {
      await addToCache(this.#cache, path, sha256);
    } catch (error) {
      this.#note(`the counts are not kept in the cache: ${toPlainError(error).message}`);
      this.#cache = undefined;
    }
  }
}

const isHit = (counts: Member["counts"]): counts is Hit => "file" in counts;

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** A unit's domains as indices into the group's names, which take up new ones in the order of their first row. */
function renumbered({ domain, domainNames }: UnitCounts, names: Map<string, number>): Int32Array {
  const places = new Int32Array(domainNames.length).fill(-1);
  return domain.map((index) => {
    if (index < 0) return index;
    let place = places[index]!;
    if (place < 0) {
      const name = domainNames[index]!;
      place = names.get(name) ?? names.size;
      names.set(name, place);
      places[index] = place;
    }
    return place;
  });
}

/**
 * Rows of each unit. The stretches of a JSONL file are ours, not the file's: to others it is one row group, unless a
 * transform numbers its rows by them.
 */
export function rowGroupsOf(
  format: CountedShard["format"],
  unitRows: readonly number[],
  transformed: boolean,
): number[] {
  return format === "jsonl" && !transformed ? [sum(unitRows)] : [...unitRows];
}
