/**
 * The chosen documents of one domain in the order in which a training sees them, piece by piece: epoch after epoch, each
 * in an order of its own. How the pieces of several domains alternate is not decided here.
 */
import { FeistelPermutation } from "../../lib/permutation.ts";
import type { Granularity } from "../contract.ts";
import { type Choice, choiceOrder } from "./choose.ts";
import { isFiner, pieceOf, type SelectionSettings } from "./settings.ts";
import type { CountedDomain, Units } from "./units.ts";

/** Where each piece of the domain comes from. Units of all three kinds are cut once, and only those that are needed. */
export class DomainStream {
  readonly domain: CountedDomain;
  readonly choice: Choice;
  readonly settings: SelectionSettings;
  readonly seed: number;
  /** what is chosen whole */
  readonly chosen: Units;
  /** what is moved whole; null = nothing is moved */
  readonly moved: Units | null;

  constructor(
    domain: CountedDomain,
    unitsOf: (granularity: Granularity) => Units,
    settings: SelectionSettings,
    seed: number,
    choose: (units: Units) => Choice,
  ) {
    this.domain = domain;
    this.settings = settings;
    this.seed = seed;
    const { granularity, shuffle } = settings;
    this.chosen = unitsOf(granularity);
    if (shuffle === granularity) this.moved = this.chosen;
    else this.moved = shuffle === "none" ? null : unitsOf(shuffle);
    this.choice = choose(this.chosen);
  }

  pieces(): PieceCursor {
    return new PieceCursor(this);
  }
}

/** Pieces that are looked up together: memory is waited for once, not once for each. */
const BATCH = 256;

/**
 * Goes through the pieces: after each `advance`, its fields are those of the next. An object for each of many millions of
 * pieces would cost more than all else.
 */
export class PieceCursor {
  epoch = -1;
  /** documents with these ordinals, without held-out ones */
  from = 0;
  to = 0; // exclusive
  tokens = 0;
  readonly #stream: DomainStream;
  readonly #pieces: Units;
  readonly #epochs: number;
  /** the pieces to come, as far as they are known, by place */
  readonly #units = new Float64Array(BATCH);
  readonly #unitEpochs = new Int32Array(BATCH);
  readonly #unitTokens = new Float64Array(BATCH);
  #place = 0;
  #places = 0;
  /** epoch of the units that are put in order now */
  #ordering = -1;
  /** moved units of that epoch; null where nothing is moved */
  #order: FeistelPermutation | null = null;
  #rank = 0;
  #ranks = 0;
  /** 1 = chosen in that epoch, by unit; null = all are, or the order holds no others */
  #taken: Uint8Array | null = null;
  /** chosen units inside the moved one that are still to come */
  #inside = 0;
  #insideEnd = 0;

  constructor(stream: DomainStream) {
    const { choice, settings, chosen, moved } = stream;
    this.#stream = stream;
    this.#pieces = pieceOf(settings) === settings.granularity ? chosen : moved!;
    this.#epochs = choice.passes + (choice.partial && choice.partial.documents > 0 ? 1 : 0);
  }

  /** @returns false after the last piece */
  advance(): boolean {
    if (this.#place === this.#places && !this.#lookUp()) return false;
    const place = this.#place++;
    const unit = this.#units[place]!;
    this.epoch = this.#unitEpochs[place]!;
    this.from = this.#pieces.firstOrdinal(unit);
    this.to = this.#pieces.firstOrdinal(unit + 1);
    this.tokens = this.#unitTokens[place]!;
    return true;
  }

  /** Fills the places with the pieces that come next, without empty ones. @returns false where none do */
  #lookUp(): boolean {
    const pieces = this.#pieces;
    this.#place = 0;
    this.#places = 0;
    while (this.#places === 0) {
      let found = 0;
      for (; found < BATCH; found++) {
        const unit = this.#next();
        if (unit < 0) break;
        this.#units[found] = unit;
        this.#unitEpochs[found] = this.#ordering;
      }
      if (found === 0) return false;
      for (let i = 0; i < found; i++) {
        const unit = this.#units[i]!;
        if (pieces.documentsOf(unit) === 0) continue;
        const place = this.#places++;
        this.#units[place] = unit;
        this.#unitEpochs[place] = this.#unitEpochs[i]!;
        this.#unitTokens[place] = pieces.tokensOf(unit);
      }
    }
    return true;
  }

  /** The next unit of the pieces' size, −1 after the last. */
  #next(): number {
    for (;;) {
      while (this.#inside < this.#insideEnd) {
        const unit = this.#inside++;
        if (this.#taken === null || this.#taken[unit] === 1) return unit;
      }
      while (this.#rank >= this.#ranks) {
        if (this.#ordering + 1 >= this.#epochs) return -1;
        this.#start(this.#ordering + 1);
      }
      const rank = this.#rank++;
      const { settings, chosen, moved } = this.#stream;
      if (moved === null) {
        this.#inside = 0;
        this.#insideEnd = chosen.count;
        continue;
      }
      const unit = this.#order!.at(rank);
      if (moved === chosen) return unit;
      const first = chosen.unitOf(moved.firstOrdinal(unit));
      if (isFiner(settings.shuffle, settings.granularity)) {
        if (this.#taken === null || this.#taken[first] === 1) return unit;
        continue;
      }
      this.#inside = first;
      this.#insideEnd = unit + 1 === moved.count ? chosen.count : chosen.unitOf(moved.firstOrdinal(unit + 1));
    }
  }

  #start(epoch: number): void {
    const { choice, chosen, moved, domain, seed } = this.#stream;
    const ranks = epoch < choice.passes ? chosen.count : choice.partial!.ranks;
    const choiceOf = choiceOrder(seed, domain.name, epoch, chosen.count);
    this.#ordering = epoch;
    this.#rank = 0;
    this.#taken = null;
    if (moved === chosen) {
      this.#order = choiceOf;
      this.#ranks = ranks;
      return;
    }
    if (epoch >= choice.passes) {
      this.#taken = new Uint8Array(chosen.count);
      for (let rank = 0; rank < ranks; rank++) this.#taken[choiceOf.at(rank)] = 1;
    }
    this.#ranks = moved === null ? 1 : moved.count;
    this.#order = moved && new FeistelPermutation(moved.count, seed, `shuffle/${domain.name}/${epoch}`);
  }
}
