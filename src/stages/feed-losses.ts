/**
 * The reference's losses as a proxy's feed sees them: which of the sequences that the proxy will draw have none yet, the
 * computed ones on their way to the disk, and those of a batch on their way to the trainer.
 */
import { mkdir, statfs } from "node:fs/promises";
import { DoremiError } from "../lib/errors.ts";
import { BLOCK_SEQUENCES, type Draw } from "../trainer/draws.ts";
import { type BlockLosses, ReferenceLossFiles } from "../trainer/reference-losses.ts";
import type { FeedPlan, ReferenceLossDecision, ReferenceLossPlan } from "./feed-contract.ts";

/** Cached where it spares at least this share of the reference's work: less is not worth the disk. */
const WORTHWHILE = 0.1;
/** Losses of blocks that are not complete yet are written at least so often. */
const FLUSH_MS = 60_000;

type Sizes = Pick<FeedPlan, "stores" | "names" | "batchSize" | "sequenceLength">;

/** Losses that were computed and are not on disk yet, of one block of one domain. */
interface OpenBlock {
  readonly domain: number;
  readonly block: number;
  /** sequences that are still to come */
  left: number;
  readonly sequences: number[];
  readonly losses: Float32Array[];
}

export class KeptLosses {
  readonly #plan: ReferenceLossPlan;
  readonly #sizes: Sizes;
  readonly #files: readonly ReferenceLossFiles[]; // [K]
  /** by domain, ascending */
  #missing: readonly Int32Array[] = [];
  /** rows of the batches that were handed out and whose losses have not come */
  readonly #awaited: (readonly Draw[])[] = [];
  readonly #open = new Map<string, OpenBlock>();
  /** block of each domain that was read last */
  readonly #current: ({ readonly block: number; readonly kept: BlockLosses } | undefined)[];
  #writing: Promise<void> = Promise.resolve();
  #flushed = performance.now();
  #arrived: (() => void) | undefined;

  constructor(plan: ReferenceLossPlan, sizes: Sizes, engine: string) {
    this.#plan = plan;
    this.#sizes = sizes;
    const { model } = plan;
    const { sequenceLength } = sizes;
    this.#files = sizes.stores.map(
      ({ fingerprint }) => new ReferenceLossFiles(plan.folder, { store: fingerprint, model, sequenceLength, engine }),
    );
    this.#current = sizes.stores.map(() => undefined);
  }

  /** @param draws rows of all steps  @param used different sequences among them, by domain, ascending */
  async decide(draws: number, used: readonly Int32Array[]): Promise<ReferenceLossDecision> {
    const different = used.reduce((sum, sequences) => sum + sequences.length, 0);
    const resident = (reason: string): ReferenceLossDecision => ({ mode: "resident", missing: 0, reason });
    if (this.#plan.setting === "resident") return resident("reference losses: resident, as set");
    const missing: Int32Array[] = [];
    for (const [domain, sequences] of used.entries()) missing.push(await this.#missingOf(domain, sequences));
    const count = missing.reduce((sum, sequences) => sum + sequences.length, 0);
    const found = `${draws} draws of ${different} sequences, of which ${different - count} have their losses from earlier`;
    if (this.#plan.setting === "auto") {
      if (count > (1 - WORTHWHILE) * draws) return resident(`reference losses: resident, for ${found}`);
      const bytes = count * this.#sizes.sequenceLength * Float32Array.BYTES_PER_ELEMENT;
      if (bytes > (await freeBytes(this.#plan.folder)) / 2)
        return resident(`reference losses: resident, for cached ones would take more than half of the free disk space`);
    }
    this.#missing = missing;
    return { mode: "cached", missing: count, reason: `reference losses: cached, for ${found}` };
  }

  /** Rows of batches that hold each missing sequence once; the last may have fewer rows. */
  *missingRows(): Generator<readonly Draw[]> {
    for (const [domain, sequences] of this.#missing.entries())
      for (const sequence of sequences) this.#blockOf(domain, sequence).left++;
    let rows: Draw[] = [];
    for (const [domain, sequences] of this.#missing.entries()) {
      for (const sequence of sequences) {
        rows.push({ domain, sequence });
        if (rows.length < this.#sizes.batchSize) continue;
        this.#awaited.push(rows);
        yield rows;
        rows = [];
      }
    }
    if (rows.length === 0) return;
    this.#awaited.push(rows);
    yield rows;
  }

  /** Losses [B, T] of the batches of `missingRows`, in their order. */
  add(values: Float32Array): void {
    const rows = this.#awaited.shift();
    if (!rows) throw new RangeError("feed: losses came that no batch was sent for");
    const T = this.#sizes.sequenceLength;
    for (const [row, { domain, sequence }] of rows.entries()) {
      const block = this.#blockOf(domain, sequence);
      block.sequences.push(sequence);
      block.losses.push(values.subarray(row * T, (row + 1) * T));
      block.left--;
    }
    const due = performance.now() - this.#flushed > FLUSH_MS;
    this.#write((block) => block.sequences.length > 0 && (due || block.left === 0));
    if (due) this.#flushed = performance.now();
    this.#arrived?.();
  }

  /** Resolves when the losses of all missing sequences came and are on disk. */
  async complete(): Promise<void> {
    while (this.#awaited.length > 0) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    await this.flush();
  }

  /** Writes what came so far. */
  async flush(): Promise<void> {
    this.#write((block) => block.sequences.length > 0);
    await this.#writing;
  }

  /** Losses [B, T] of drawn sequences. @throws DoremiError reference-losses where one has none */
  async of(draws: readonly Draw[]): Promise<Float32Array> {
    const T = this.#sizes.sequenceLength;
    const losses = new Float32Array(this.#sizes.batchSize * T);
    for (const [row, { domain, sequence }] of draws.entries()) {
      const block = Math.floor(sequence / BLOCK_SEQUENCES);
      let current = this.#current[domain];
      if (current?.block !== block) {
        current = { block, kept: await this.#files[domain]!.read(block) };
        this.#current[domain] = current;
      }
      const at = indexOf(current.kept.sequences, sequence);
      if (at < 0) {
        throw new DoremiError(
          "bad-data",
          "reference-losses",
          `${this.#files[domain]!.folder}: must hold the reference's losses of sequence ${sequence} of domain “${this.#sizes.names[domain]}”, which were there when training began; run again, and they are computed again`,
          { file: this.#files[domain]!.folder },
        );
      }
      losses.set(current.kept.losses.subarray(at * T, (at + 1) * T), row * T);
    }
    return losses;
  }

  async #missingOf(domain: number, sequences: Int32Array): Promise<Int32Array> {
    const missing: number[] = [];
    let block = -1;
    let known = new Int32Array(0);
    for (const sequence of sequences) {
      const its = Math.floor(sequence / BLOCK_SEQUENCES);
      if (its !== block) {
        block = its;
        known = (await this.#files[domain]!.read(block)).sequences as Int32Array<ArrayBuffer>;
      }
      if (indexOf(known, sequence) < 0) missing.push(sequence);
    }
    return Int32Array.from(missing);
  }

  #blockOf(domain: number, sequence: number): OpenBlock {
    const block = Math.floor(sequence / BLOCK_SEQUENCES);
    const key = `${domain}/${block}`;
    let open = this.#open.get(key);
    if (!open) {
      open = { domain, block, left: 0, sequences: [], losses: [] };
      this.#open.set(key, open);
    }
    return open;
  }

  /** Queues the writing of some of the open blocks, one after another. */
  #write(which: (block: OpenBlock) => boolean): void {
    for (const [key, open] of this.#open) {
      if (!which(open)) continue;
      const more = sorted(open, this.#sizes.sequenceLength);
      open.sequences.length = 0;
      open.losses.length = 0;
      if (open.left === 0) this.#open.delete(key);
      this.#writing = this.#writing.then(() => this.#files[open.domain]!.add(open.block, more));
    }
    this.#writing.catch(() => {}); // whoever waits for it hears of it
  }
}

function sorted({ sequences, losses }: OpenBlock, T: number): BlockLosses {
  const order = [...sequences.keys()].sort((a, b) => sequences[a]! - sequences[b]!);
  const all = new Float32Array(sequences.length * T);
  for (const [row, at] of order.entries()) all.set(losses[at]!, row * T);
  return { sequences: Int32Array.from(order, (at) => sequences[at]!), losses: all };
}

/** Index of a value in an ascending list, or −1. */
function indexOf(ascending: Int32Array, value: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = ascending[middle]!;
    if (found === value) return middle;
    if (found < value) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

async function freeBytes(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
