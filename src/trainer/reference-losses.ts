/**
 * A reference model's losses, computed once and kept on disk: an Arrow file for each block of a store's sequences (the
 * blocks of draws.ts), in a folder that says whose losses they are. Runs may share the folder; a file is replaced whole,
 * with what it held and what is new. Which sequences are needed is not decided here.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { checkArrowNumbers } from "../formats/arrow/check.ts";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { sha256Json } from "../lib/hash.ts";
import { MemoryFile } from "../storage/memory-file.ts";

/** Whose losses: the same of all of these gives the same losses. */
export interface LossIdentity {
  /** fingerprint of the token store */
  readonly store: string;
  /** hash of the reference model's files */
  readonly model: string;
  readonly sequenceLength: number;
  /** engines round differently */
  readonly engine: string;
}

/** Losses of some sequences of a block. */
export interface BlockLosses {
  /** numbers in the store, ascending */
  readonly sequences: Int32Array; // [n]
  readonly losses: Float32Array; // [n, T]
}

export class ReferenceLossFiles {
  readonly folder: string;
  readonly #identity: LossIdentity;

  constructor(folder: string, identity: LossIdentity) {
    this.folder = join(folder, sha256Json(identity).slice(0, 32));
    this.#identity = identity;
  }

  /** What is known of a block; nothing where its file is missing or is damaged, which is then computed again. */
  async read(block: number): Promise<BlockLosses> {
    const none = { sequences: new Int32Array(0), losses: new Float32Array(0) };
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.#path(block));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return none;
      throw error;
    }
    try {
      return await this.#decode(bytes);
    } catch {
      return none;
    }
  }

  /** Adds losses to a block's file. Sequences that it has already stay as they are. */
  async add(block: number, more: BlockLosses): Promise<void> {
    const T = this.#identity.sequenceLength;
    const kept = await this.read(block);
    const rows = new Map<number, Float32Array>();
    for (const { sequences, losses } of [more, kept]) {
      for (const [row, sequence] of sequences.entries()) rows.set(sequence, losses.subarray(row * T, (row + 1) * T));
    }
    const sequences = Int32Array.from(rows.keys()).sort();
    const losses = new Float32Array(sequences.length * T);
    for (const [row, sequence] of sequences.entries()) losses.set(rows.get(sequence)!, row * T);
    await writeFileAtomic(this.#path(block), this.#encode({ sequences, losses }));
  }

  #path(block: number): string {
    return join(this.folder, `block-${String(block).padStart(6, "0")}.arrow`);
  }

  #encode({ sequences, losses }: BlockLosses): Uint8Array {
    const T = this.#identity.sequenceLength;
    const rows = sequences.length;
    const item = new arrow.Field("item", new arrow.Float32(), false);
    const fields = [
      new arrow.Field("sequence", new arrow.Int32(), false),
      new arrow.Field("losses", new arrow.FixedSizeList(T, item), false),
    ];
    const child = arrow.makeData({ type: new arrow.Float32(), length: rows * T, nullCount: 0, data: losses });
    const children = [
      arrow.makeData({ type: new arrow.Int32(), length: rows, nullCount: 0, data: sequences }),
      arrow.makeData({ type: fields[1]!.type as arrow.FixedSizeList, length: rows, nullCount: 0, child }),
    ];
    const metadata = new Map(Object.entries(this.#identity).map(([key, value]) => [`doremi.${key}`, String(value)]));
    metadata.set("doremi.sha256", checksum({ sequences, losses }));
    const schema = new arrow.Schema(fields, metadata);
    const data = arrow.makeData({ type: new arrow.Struct(fields), length: rows, nullCount: 0, children });
    return arrow.tableToIPC(new arrow.Table(schema, [new arrow.RecordBatch(schema, data)]), "file");
  }

  /** @throws Error where the file is not what `#encode` made */
  async #decode(bytes: Uint8Array): Promise<BlockLosses> {
    await checkArrowNumbers(new MemoryFile(this.folder, bytes));
    const table = arrow.tableFromIPC(bytes);
    const rows = table.numRows;
    // Buffers are padded to 8 bytes.
    const sequences = (table.getChild("sequence")!.data[0]!.values as Int32Array).subarray(0, rows);
    const values = table.getChild("losses")!.data[0]!.children[0]!.values as Float32Array;
    const losses = values.subarray(0, rows * this.#identity.sequenceLength);
    if (table.schema.metadata.get("doremi.sha256") !== checksum({ sequences, losses })) throw new Error("damaged");
    return { sequences, losses };
  }
}

function checksum({ sequences, losses }: BlockLosses): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of [sequences, losses])
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
}
