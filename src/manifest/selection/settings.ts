/**
 * What a selection is asked for beside targets and seed: what is chosen whole, how domains follow each other, and what a
 * shuffle moves whole. Says what follows from these; chooses nothing.
 */
import type { Granularity, SelectionOrder, Shuffle } from "../contract.ts";

export interface SelectionSettings {
  /** what is chosen whole */
  readonly granularity: Granularity;
  readonly order: SelectionOrder;
  /** what is moved whole inside an epoch of a domain */
  readonly shuffle: Shuffle;
}

const FINENESS: readonly Shuffle[] = ["document", "row-group", "shard", "none"];

/** Whether units of `a` lie inside units of `b`; a domain as a whole is the unit of "none". */
export function isFiner(a: Shuffle, b: Shuffle): boolean {
  return FINENESS.indexOf(a) < FINENESS.indexOf(b);
}

/** What stays together in the selection: the finer of what is chosen whole and what is moved whole. */
export function pieceOf({ granularity, shuffle }: SelectionSettings): Granularity {
  return shuffle !== "none" && isFiner(shuffle, granularity) ? shuffle : granularity;
}
