/**
 * The chosen documents of one domain in the order in which a training sees them, piece by piece: epoch after epoch, each
 * in an order of its own. How the pieces of several domains alternate is not decided here.
 */
import { Rng } from "../../lib/rng.ts";
import type { Granularity } from "../contract.ts";
import { type Choice, choiceOrder } from "./choose.ts";
import { isFiner, pieceOf, type SelectionSettings } from "./settings.ts";
import type { CountedDomain, Units } from "./units.ts";

export interface Piece {
  readonly epoch: number;
  /** documents with these ordinals, without held-out ones */
  readonly from: number;
  readonly to: number; // exclusive
  readonly tokens: number;
}

/** Where each piece of the domain comes from. Units of all three kinds are cut once, and only those that are needed. */
export class DomainStream {
  readonly domain: CountedDomain;
  readonly choice: Choice;
  readonly #settings: SelectionSettings;
  readonly #seed: number;
  readonly #chosen: Units;
  readonly #moved: Units | null;

  constructor(
    domain: CountedDomain,
    unitsOf: (granularity: Granularity) => Units,
    settings: SelectionSettings,
    seed: number,
    choose: (units: Units) => Choice,
  ) {
    this.domain = domain;
    this.#settings = settings;
    this.#seed = seed;
    const { granularity, shuffle } = settings;
    this.#chosen = unitsOf(granularity);
    if (shuffle === granularity) this.#moved = this.#chosen;
    else this.#moved = shuffle === "none" ? null : unitsOf(shuffle);
    this.choice = choose(this.#chosen);
  }

  *pieces(): Generator<Piece, void> {
    const { passes, partial } = this.choice;
    for (let epoch = 0; epoch < passes; epoch++) yield* this.#pass(epoch, null);
    if (partial && partial.documents > 0) yield* this.#pass(passes, partial.ranks);
  }

  /** @param ranks how many of the epoch's order are taken; null = all */
  *#pass(epoch: number, ranks: number | null): Generator<Piece, void> {
    const units = pieceOf(this.#settings) === this.#settings.granularity ? this.#chosen : this.#moved!;
    for (const unit of this.#order(epoch, ranks)) {
      if (units.documentsOf(unit) === 0) continue;
      yield { epoch, from: units.firstOrdinal(unit), to: units.firstOrdinal(unit + 1), tokens: units.tokensOf(unit) };
    }
  }

  /** Units of the piece's size in the order of the epoch. */
  *#order(epoch: number, ranks: number | null): Generator<number, void> {
    const { granularity, shuffle } = this.#settings;
    const chosen = this.#chosen;
    const name = this.domain.name;
    const taken = choiceOrder(this.#seed, name, epoch, chosen.count);
    if (shuffle === granularity) {
      for (let rank = 0; rank < (ranks ?? chosen.count); rank++) yield taken.at(rank);
      return;
    }
    const isTaken = ranks === null ? null : new Uint8Array(chosen.count);
    for (let rank = 0; isTaken && rank < ranks!; rank++) isTaken[taken.at(rank)] = 1;
    const moved = this.#moved;
    if (moved === null) {
      for (let unit = 0; unit < chosen.count; unit++) if (!isTaken || isTaken[unit]) yield unit;
      return;
    }
    const order = new Rng(this.#seed, `shuffle/${name}/${epoch}`).permutation(moved.count);
    for (let rank = 0; rank < moved.count; rank++) {
      const unit = order.at(rank);
      const first = chosen.unitOf(moved.firstOrdinal(unit));
      if (isFiner(shuffle, granularity)) {
        if (!isTaken || isTaken[first]) yield unit;
        continue;
      }
      const end = unit + 1 === moved.count ? chosen.count : chosen.unitOf(moved.firstOrdinal(unit + 1));
      for (let inside = first; inside < end; inside++) if (!isTaken || isTaken[inside]) yield inside;
    }
  }
}
