/** Sums of row counts: per shard and value, per shard and domain, then over the corpus. Pure. */
import { DoremiError } from "../../lib/errors.ts";
import { type DomainRule, domainOf, isRefused, ruleWithin } from "../../manifest/domain-rule.ts";
import { CorpusTally } from "./bad.ts";
import type { CountedShard, CountOutput, CountTotals } from "./contract.ts";
import type { ValueTotals } from "./kept.ts";
import { NO_DOCUMENT, type UnitRows } from "./unit-rows.ts";

/** By value, in the order of `names`, those without a domain last; values without a document are left out. */
export function valueTotals(units: readonly UnitRows[], names: readonly string[], tokenizers: number): ValueTotals[] {
  const places = names.length + 1; // the last for documents without a value
  const perUnit = () => Array.from({ length: places }, () => new Array<number>(units.length).fill(0));
  const documents = perUnit();
  const bytes = perUnit();
  const tokens = Array.from({ length: tokenizers }, perUnit);
  for (const [u, unit] of units.entries()) {
    for (let row = 0; row < unit.rows; row++) {
      const value = unit.domain[row]!;
      if (value === NO_DOCUMENT) continue;
      const at = value < 0 ? places - 1 : value;
      documents[at]![u]!++;
      bytes[at]![u]! += unit.bytes[row]!;
      for (let t = 0; t < tokenizers; t++) tokens[t]![at]![u]! += unit.tokens[t]![row]!;
    }
  }
  return [...names, null].flatMap((value, at) =>
    sum(documents[at]!) === 0
      ? []
      : [{ value, documents: documents[at]!, bytes: bytes[at]!, tokens: tokens.map((counts) => counts[at]!) }],
  );
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

const noTotals = (tokenizers: readonly string[]): CountTotals => ({
  documents: 0,
  bytes: 0,
  tokens: Object.fromEntries(tokenizers.map((name) => [name, 0])),
});

/** By domain, as the rule has it. @param tokenizers names, in the order of the values' tokens */
export function shardTotals(
  values: readonly ValueTotals[],
  file: Pick<CountedShard, "domain">,
  rule: DomainRule,
  tokenizers: readonly string[],
): Record<string, CountTotals> {
  const within = ruleWithin(rule, file);
  const totals = new Map<string, CountTotals>();
  for (const { value, documents, bytes, tokens } of values) {
    const domain = domainOf(within, value);
    if (domain === null) continue;
    const into = totals.get(domain) ?? noTotals(tokenizers);
    totals.set(domain, into);
    into.documents += sum(documents);
    into.bytes += sum(bytes);
    for (const [t, name] of tokenizers.entries()) into.tokens[name]! += sum(tokens[t]!);
  }
  return Object.fromEntries(totals);
}

/**
 * By domain, as the rule has it, and within it by row group.
 * @param rowGroups how many the file has: as many as units, or one that all units are stretches of
 */
export function groupTotals(
  values: readonly ValueTotals[],
  file: Pick<CountedShard, "domain">,
  rule: DomainRule,
  tokenizers: readonly string[],
  rowGroups: number,
): CountedShard["groups"] {
  const within = ruleWithin(rule, file);
  const none = () => new Array<number>(rowGroups).fill(0);
  const groups = new Map<string, CountedShard["groups"][string]>();
  for (const { value, documents, bytes, tokens } of values) {
    const domain = domainOf(within, value);
    if (domain === null) continue;
    const into = groups.get(domain) ?? {
      documents: none(),
      bytes: none(),
      tokens: Object.fromEntries(tokenizers.map((name) => [name, none()])),
    };
    groups.set(domain, into);
    const add = (to: number[], units: readonly number[]) => {
      for (const [u, count] of units.entries()) to[units.length === rowGroups ? u : 0]! += count;
    };
    add(into.documents, documents);
    add(into.bytes, bytes);
    for (const [t, name] of tokenizers.entries()) add(into.tokens[name]!, tokens[t]!);
  }
  return Object.fromEntries(groups);
}

/**
 * Refuses what the rule on domains does, naming the first of it.
 * @param file for the message @throws DoremiError unlisted-domain, missing-domain
 */
export function refuseUnlisted(
  values: readonly Pick<ValueTotals, "value" | "documents">[],
  shard: Pick<CountedShard, "domain">,
  rule: DomainRule,
  file: string,
): void {
  const within = ruleWithin(rule, shard);
  const refused = values.find(({ value }) => isRefused(within, value));
  if (!refused) return;
  const { value, documents } = refused;
  if (value === null) {
    throw new DoremiError(
      "bad-data",
      "missing-domain",
      `${file}: every row needs a domain, found ${sum(documents)} without one; fill the column, or set data.onUnlistedDomain to drop or a domain`,
      { file },
    );
  }
  throw new DoremiError(
    "bad-data",
    "unlisted-domain",
    `${file}: holds rows of the domain “${value}”, which data.domains does not list; list it, or set data.onUnlistedDomain to drop or a domain`,
    { file },
  );
}

/** Adds up shards as they are settled. */
export class CorpusTotals {
  readonly #tokenizers: readonly string[];
  readonly #bad = new CorpusTally();
  readonly #domains = new Map<string, CountTotals & { heldOut: CountTotals }>();
  #droppedRows = 0;
  rows = 0;

  /** @param tokenizers names */
  constructor(tokenizers: readonly string[]) {
    this.#tokenizers = tokenizers;
  }

  add(shard: Pick<CountedShard, "path" | "split" | "totals" | "rows" | "droppedRows" | "bad">): void {
    const { split, totals, rows, droppedRows } = shard;
    this.#bad.add(shard);
    this.rows += rows;
    this.#droppedRows += droppedRows;
    for (const [name, counted] of Object.entries(totals)) {
      const domain = this.#domains.get(name) ?? { ...noTotals(this.#tokenizers), heldOut: noTotals(this.#tokenizers) };
      this.#domains.set(name, domain);
      const into = split === "train" ? domain : domain.heldOut;
      into.documents += counted.documents;
      into.bytes += counted.bytes;
      for (const tokenizer of this.#tokenizers) into.tokens[tokenizer]! += counted.tokens[tokenizer] ?? 0;
    }
  }

  /**
   * In the order of the list, or of the names.
   * @param part of a corpus: domains without a document are left out, and there may be none
   * @throws DoremiError no-documents, empty-domain
   */
  finish(
    rule: DomainRule,
    skipped: CountOutput["skipped"],
    part = false,
  ): Pick<CountOutput, "domains" | "notes" | "badDocuments"> {
    const rest = typeof rule.unlisted === "object" ? rule.unlisted.domain : undefined;
    const hasDocuments = (name: string) => (this.#domains.get(name)?.documents ?? 0) > 0;
    const names = rule.listed
      ? // The domain of what is not listed is there where something is.
        rule.listed.filter((name) => (name !== rest && !part) || hasDocuments(name))
      : [...this.#domains.keys()].filter(hasDocuments).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    if (names.length === 0 && !part) {
      throw new DoremiError(
        "bad-data",
        "no-documents",
        "no row of any shard is a document with a domain; check data.textColumn, data.domainColumn and the transform",
      );
    }
    const empty = names.find((name) => !hasDocuments(name));
    if (empty !== undefined) {
      throw new DoremiError(
        "bad-data",
        "empty-domain",
        `domain “${empty}”: needs at least one document, found none${leftOut(skipped, this.#bad.found)}; take it out of data.domains or check its files`,
      );
    }
    const domains = withShares(
      names.map((name) => ({ name, ...this.#domains.get(name)! })),
      this.#tokenizers,
    );
    const bad = this.#bad.found;
    const why = `no text, dropped by the transform, or of an unlisted domain${bad ? ", or left out as bad" : ""}`;
    const rows = this.#droppedRows === 1 ? "1 row is no document" : `${this.#droppedRows} rows are not documents`;
    const notes = this.#droppedRows > 0 ? [`${rows} (${why})`] : [];
    return { domains, notes, ...(bad && { badDocuments: bad }) };
  }
}

function leftOut(shards: CountOutput["skipped"], bad: CountOutput["badDocuments"]): string {
  const said = [
    ...(shards.length > 0 ? [`${shards.length} shards were left out`] : []),
    ...(bad && bad.skipped > 0
      ? [`${bad.skipped} documents were left out as bad, the first because it ${bad.places[0]!.reason}`]
      : []),
  ];
  return said.length === 0 ? "" : ` (${said.join("; ")})`;
}

/** With each domain's share of all tokens under each tokenizer, and how far it is from the first tokenizer's. */
export function withShares<Domain extends Pick<CountTotals, "tokens">>(
  domains: readonly Domain[],
  tokenizers: readonly string[],
): (Domain & Pick<CountOutput["domains"][number], "share" | "difference">)[] {
  const all = tokenizers.map((name) => domains.reduce((sum, domain) => sum + domain.tokens[name]!, 0));
  return domains.map((domain) => {
    const shares = tokenizers.map((name, t) => (all[t] === 0 ? 0 : domain.tokens[name]! / all[t]!));
    const [first = 0] = shares;
    return {
      ...domain,
      share: Object.fromEntries(tokenizers.map((name, t) => [name, shares[t]!])),
      difference: Object.fromEntries(tokenizers.map((name, t) => [name, 100 * (shares[t]! - first)]).slice(1)),
    };
  });
}
