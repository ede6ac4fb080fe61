/**
 * Chooses the documents that give each domain its target tokens: whole passes over the domain, then part of one in a
 * seeded order, ending where it comes closest. No document twice in a pass. Reads no text; the chosen rows stream out.
 */
import { DoremiError } from "../lib/errors.ts";
import { Rng } from "../lib/rng.ts";
import type { SelectionRow } from "./contract.ts";
import { type DocumentIndex, type DomainDocuments, rowOf, type Segment } from "./document-index.ts";

export interface DomainSelection {
  readonly name: string;
  /** within one document of the target */
  readonly achievedTokens: number;
  /** repeats included */
  readonly selectedDocuments: number;
}

export interface Selection {
  readonly domains: readonly DomainSelection[];
  /**
   * Runs of consecutive rows of one row group, sorted by domain, epoch, file, row. Made as they are asked for; may be
   * asked for more than once.
   */
  rows(): Generator<SelectionRow, void>;
}

/**
 * @param targetTokens of each domain, integers ≥ 0
 * @throws DoremiError no-tokens for a target above 0 where the domain has no token to give
 */
export function selectDocuments(index: DocumentIndex, targetTokens: readonly number[], seed: number): Selection {
  const choices = index.domains.map((domain, i) => chooseDomain(domain, targetTokens[i]!, seed));
  const groupStarts = index.files.map((file) => startsOf(file.rowGroups));
  return {
    domains: choices.map(({ domain, passes, partial }) => ({
      name: domain.name,
      achievedTokens: passes * domain.tokens + (partial?.tokens ?? 0),
      selectedDocuments: passes * domain.documents + (partial?.documents ?? 0),
    })),
    *rows() {
      for (const { domain, passes, partial } of choices) {
        for (let epoch = 0; epoch < passes; epoch++) yield* rowsOf(domain, epoch, null);
        if (partial && partial.documents > 0) yield* rowsOf(domain, passes, partial.chosen);
      }
    },
  };

  function* rowsOf(domain: DomainDocuments, epoch: number, chosen: Uint8Array | null): Generator<SelectionRow, void> {
    for (const segment of domain.segments) {
      const file = index.files[segment.file]!;
      const starts = groupStarts[segment.file]!;
      const run = (group: number, rowStart: number, rowEnd: number, tokens: number): SelectionRow => ({
        file: file.path,
        rowGroup: group,
        rowStart,
        rowEnd,
        domain: domain.name,
        epoch,
        tokens,
      });
      let group = 0;
      let start = -1; // of the run that is open, −1 when none is
      let end = -1;
      let tokens = 0;
      for (let i = 0; i < segment.count; i++) {
        const ordinal = segment.ordinal + i;
        if (chosen === null ? domain.heldOut[ordinal] === 1 : chosen[ordinal] === 0) continue;
        const row = rowOf(segment, i);
        const leavesGroup = row >= starts[group + 1]!;
        if (start >= 0 && (leavesGroup || row !== end)) {
          yield run(group, start, end, tokens);
          start = -1;
        }
        while (row >= starts[group + 1]!) group += 1;
        if (start < 0) {
          start = row;
          tokens = 0;
        }
        end = row + 1;
        tokens += segment.tokens[i]!;
      }
      if (start >= 0) yield run(group, start, end, tokens);
    }
  }
}

interface Choice {
  readonly domain: DomainDocuments;
  /** whole passes over the domain */
  readonly passes: number;
  /** the pass after those, when the target needs part of one */
  readonly partial: Partial | null;
}

interface Partial {
  /** 1 = chosen, by ordinal */
  readonly chosen: Uint8Array;
  readonly documents: number;
  readonly tokens: number;
}

function chooseDomain(domain: DomainDocuments, target: number, seed: number): Choice {
  if (target === 0) return { domain, passes: 0, partial: null };
  if (domain.tokens === 0) {
    throw new DoremiError(
      "bad-configuration",
      "no-tokens",
      `domain “${domain.name}”: cannot give ${target} tokens, it has none outside its held-out documents; ` +
        "set its weight to 0 or add data",
    );
  }
  const passes = Math.floor(target / domain.tokens);
  const rest = target - passes * domain.tokens;
  return { domain, passes, partial: rest === 0 ? null : choosePartial(domain, rest, passes, seed) };
}

/** Documents in the order of a permutation of its own per domain and epoch, until one more would not come closer. */
function choosePartial(domain: DomainDocuments, target: number, epoch: number, seed: number): Partial {
  const order = new Rng(seed, `select/${domain.name}/${epoch}`).permutation(domain.allDocuments);
  const tokensOf = tokenLookup(domain.segments);
  const chosen = new Uint8Array(domain.allDocuments);
  let documents = 0;
  let tokens = 0;
  for (let i = 0; i < domain.allDocuments && tokens < target; i++) {
    const ordinal = order.at(i);
    if (domain.heldOut[ordinal] === 1) continue;
    const next = tokens + tokensOf(ordinal);
    if (next > target && next - target >= target - tokens) break;
    chosen[ordinal] = 1;
    documents += 1;
    tokens = next;
  }
  return { chosen, documents, tokens };
}

/** Tokens of a document by its ordinal: binary search for the segment that holds it. */
function tokenLookup(segments: readonly Segment[]): (ordinal: number) => number {
  return (ordinal) => {
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (segments[middle]!.ordinal <= ordinal) low = middle;
      else high = middle - 1;
    }
    const segment = segments[low]!;
    return segment.tokens[ordinal - segment.ordinal]!;
  };
}

/** First row of each group, and the number of rows at the end. */
export function startsOf(rowGroups: readonly number[]): number[] {
  const starts = [0];
  for (const rows of rowGroups) starts.push(starts.at(-1)! + rows);
  return starts;
}
