/**
 * What a feed is asked and answers. The feed is the thread that reads token stores and prepares batches ahead of the
 * trainer's; the two talk over a port of their own, past the main thread.
 */
import type { PlainError } from "../lib/errors.ts";
import type { TrainingBatch } from "../trainer/contract.ts";

/** What the feed reads. Plain data. */
export interface FeedPlan {
  /** of each domain, for messages */
  readonly names: readonly string[]; // [K]
  /** token stores of the training sequences */
  readonly stores: readonly StorePlace[]; // [K]
  /** token stores for evaluation; null where nothing is held out */
  readonly heldOut: readonly (StorePlace | null)[]; // [K]
  /** sampling weights of the rows */
  readonly weights: readonly number[]; // [K]
  readonly batchSize: number; // B
  readonly sequenceLength: number; // T
  readonly steps: number;
  readonly seed: number;
  /** sequences of each domain that are evaluated, at most */
  readonly evaluationSequences: number;
  readonly referenceLosses: ReferenceLossPlan | null;
  /** file of the ids that the models know; null: all of the tokenizer's */
  readonly vocabulary: string | null;
}

export interface StorePlace {
  /** without extension */
  readonly path: string;
  /** says what it holds */
  readonly fingerprint: string;
  /** of a store that may still be written: where it is until it is complete, and what it will hold */
  readonly unfinished: { readonly path: string; readonly tokens: number; readonly vocabularySize: number } | null;
}

/** Where a proxy's reference losses come from. */
export interface ReferenceLossPlan {
  readonly setting: ReferenceLossSetting;
  /** folder of losses that were computed once, which runs may share */
  readonly folder: string;
  /** of the reference model's files */
  readonly model: string;
}

/**
 * resident: the reference runs beside the proxy at every step. cached: its losses are computed once for each sequence that
 * the proxy will see, and kept. auto: cached where that is less work.
 */
export type ReferenceLossSetting = "resident" | "cached" | "auto";

/** What the feed found and decided about reference losses. */
export interface ReferenceLossDecision {
  readonly mode: "resident" | "cached";
  /** sequences whose losses have to be computed first; 0 when resident */
  readonly missing: number;
  /** one line for people */
  readonly reason: string;
}

/** Batches that the trainer may ask for, one stream at a time. */
export type StreamRequest =
  | { readonly kind: "training"; readonly from: number; readonly reference: boolean }
  /** sequences whose reference losses are missing; the trainer answers each batch with its losses */
  | { readonly kind: "reference" }
  /** of fewer sequences of each domain than planned, where it says so */
  | { readonly kind: "evaluation"; readonly sequences?: number };

export type ToFeed =
  | { readonly type: "open"; readonly stream: number; readonly request: StreamRequest }
  /** a batch was taken, so that another may be sent */
  | { readonly type: "taken"; readonly stream: number }
  | { readonly type: "decide"; readonly engine: string }
  | { readonly type: "losses"; readonly losses: Float32Array }
  /** makes losses durable that were computed so far, before the thread goes */
  | { readonly type: "flush" };

export type FromFeed =
  | { readonly type: "batch"; readonly stream: number; readonly batch: TrainingBatch }
  | { readonly type: "end"; readonly stream: number }
  | { readonly type: "decision"; readonly decision: ReferenceLossDecision }
  | { readonly type: "flushed" }
  | { readonly type: "failed"; readonly error: PlainError };

/** Memory of the batches that wait for the trainer, bytes. */
const AHEAD_BYTES = 64 << 20;
const AHEAD_BATCHES = 64;
/** of a token: input, target, mask, reference loss */
const TOKEN_BYTES = 16;

/** Batches that are prepared ahead: at least two, so that one is ready while the next is made. */
export function batchesAhead({ batchSize, sequenceLength }: Pick<FeedPlan, "batchSize" | "sequenceLength">): number {
  const bytes = batchSize * sequenceLength * TOKEN_BYTES;
  return Math.max(2, Math.min(AHEAD_BATCHES, Math.floor(AHEAD_BYTES / bytes)));
}
