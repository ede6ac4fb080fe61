/** A token store as the feed reads it: complete, or still being written, in which case it waits for what is not there yet. */
import { setTimeout } from "node:timers/promises";
import {
  openTokenStore,
  openUnfinishedTokenStore,
  type Sequences,
  type TokenStore,
  tokenWindows,
} from "../formats/token-store.ts";
import type { StorePlace } from "./feed-contract.ts";

/** Between looks at how far a store has grown. */
const LOOK_MS = 20;

export class FeedStore implements Sequences {
  readonly sequences: number;
  readonly #store: TokenStore;
  readonly #windows: Sequences;
  readonly #sequenceLength: number;
  /** tokens that were there at the last look */
  #written: number;

  private constructor(store: TokenStore, sequenceLength: number, options: { readonly tail: boolean }) {
    this.#store = store;
    this.#windows = tokenWindows(store, sequenceLength, options);
    this.#sequenceLength = sequenceLength;
    this.#written = store.written();
    this.sequences = this.#windows.sequences;
  }

  static async open(
    { path, unfinished }: StorePlace,
    sequenceLength: number,
    options: { readonly tail: boolean },
  ): Promise<FeedStore> {
    // In this order: a store can be completed and moved to its place in between, and never goes back.
    const store = unfinished && openUnfinishedTokenStore(unfinished.path, unfinished);
    return new FeedStore(store ?? (await openTokenStore(path)), sequenceLength, options);
  }

  sequence(index: number): Int32Array {
    return this.#windows.sequence(index);
  }

  /** Resolves when a sequence is there. */
  async reached(sequence: number): Promise<void> {
    await this.#reach(Math.min((sequence + 1) * this.#sequenceLength + 1, this.#store.tokens));
  }

  /** Resolves when all is there. */
  async whole(): Promise<void> {
    await this.#reach(this.#store.tokens);
  }

  async #reach(tokens: number): Promise<void> {
    while (this.#written < tokens) {
      this.#written = this.#store.written();
      if (this.#written < tokens) await setTimeout(LOOK_MS);
    }
  }
}
