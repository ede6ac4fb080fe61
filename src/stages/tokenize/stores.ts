/**
 * The token stores of a tokenize stage: what each will hold, known before any text is read, and their writing, which
 * other threads can read along with and an interrupted run goes on with.
 */
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { TokenStoreWriter } from "../../formats/token-store.ts";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { canonicalJson } from "../../lib/hash.ts";
import type { CountedShard } from "../count/contract.ts";
import type { TokenizeInput, TokenStoreReference } from "./contract.ts";
import { type Split, storedTokens, type TokenizePlan } from "./plan.ts";

/** How far an interrupted run came; goes when the stores are complete. */
const PROGRESS = "progress.json";
/** Written parts are made durable so often. */
const DURABLE_MS = 5_000;

export const storeName = (domain: number, split: Split): string => `${String(domain).padStart(3, "0")}-${split}`;

/** The store of document i of a unit. */
export type StoreOf = (unit: number, i: number) => string;

export function storeOf(plan: TokenizePlan, splits: readonly (readonly Split[])[]): StoreOf {
  return (unit, i) => storeName(plan.units[unit]!.domain[i]!, splits[unit]![i]!);
}

/** By name, every store that will hold a document. */
export function planStores(
  input: TokenizeInput,
  shards: readonly CountedShard[],
  plan: TokenizePlan,
  nameOf: StoreOf,
): Map<string, TokenStoreReference> {
  const { fingerprint, specialTokens, endOfText, vocabularySize } = input.tokenizer;
  const how = { fingerprint, specialTokens, endOfText, vocabularySize, column: input.textColumn };
  const stores = new Map<string, { documents: number; tokens: number; hash: ReturnType<typeof createHash> }>();
  for (const [u, { shard, unit, rows, tokens }] of plan.units.entries()) {
    for (const [i, row] of rows.entries()) {
      const name = nameOf(u, i);
      let store = stores.get(name);
      if (!store) {
        const hash = createHash("sha256").update(canonicalJson({ ...how, transform: input.transform }));
        store = { documents: 0, tokens: 0, hash };
        stores.set(name, store);
      }
      store.documents++;
      store.tokens += storedTokens(input, tokens[i]!);
      store.hash.update(`${shards[shard]!.sha256}/${unit}/${row}\n`);
    }
  }
  return new Map(
    [...stores].map(([path, { documents, tokens, hash }]) => [
      path,
      { path, documents, tokens, fingerprint: hash.digest("hex") },
    ]),
  );
}

export class StoresWriter {
  /** units that an earlier run has written */
  readonly unitsBefore: number;
  readonly #folder: string;
  readonly #writers: ReadonlyMap<string, TokenStoreWriter>;
  readonly #nameOf: StoreOf;
  #units: number;
  #durableAt = performance.now();

  private constructor(folder: string, writers: ReadonlyMap<string, TokenStoreWriter>, nameOf: StoreOf, units: number) {
    this.#folder = folder;
    this.#writers = writers;
    this.#nameOf = nameOf;
    this.#units = units;
    this.unitsBefore = units;
  }

  /** Opens all stores, so that they can be read as they grow, where an earlier run stopped; from the start where that left none. */
  static async open(
    folder: string,
    input: TokenizeInput,
    plan: TokenizePlan,
    stores: ReadonlyMap<string, TokenStoreReference>,
    nameOf: StoreOf,
  ): Promise<StoresWriter> {
    let units = await unitsWritten(folder);
    let writers =
      units === undefined ? undefined : await openWriters(folder, input, lengthsOf(input, plan, stores, nameOf, units));
    if (!writers) {
      units = undefined;
      writers = (await openWriters(folder, input, new Map([...stores.keys()].map((name) => [name, undefined]))))!;
    }
    const all = new StoresWriter(folder, writers, nameOf, units ?? 0);
    await all.#keep(); // from here on the parts are there, whatever happens
    return all;
  }

  /** Writes the documents of the next unit, and lets readers see them. @param documents ids with the end-of-text token */
  async write(documents: readonly Uint32Array[]): Promise<void> {
    const touched = new Set<TokenStoreWriter>();
    for (const [i, ids] of documents.entries()) {
      const writer = this.#writers.get(this.#nameOf(this.#units, i))!;
      await writer.write(ids);
      touched.add(writer);
    }
    for (const writer of touched) await writer.flush();
    this.#units++;
    if (performance.now() - this.#durableAt > DURABLE_MS) await this.#keep();
  }

  async commit(): Promise<void> {
    await this.#keep();
    await rm(join(this.#folder, PROGRESS), { force: true }); // there will be no parts to go on with
    for (const writer of this.#writers.values()) await writer.commit();
  }

  /** Leaves what was written for a run that goes on. */
  async suspend(): Promise<void> {
    try {
      await this.#keep();
    } finally {
      for (const writer of this.#writers.values()) await writer.suspend();
    }
  }

  async #keep(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.flush({ durable: true });
    await writeFileAtomic(join(this.#folder, PROGRESS), `${JSON.stringify({ units: this.#units })}\n`);
    this.#durableAt = performance.now();
  }
}

/** Of each store, the lengths of its documents in the first `units` units. */
function lengthsOf(
  input: TokenizeInput,
  plan: TokenizePlan,
  stores: ReadonlyMap<string, TokenStoreReference>,
  nameOf: StoreOf,
  units: number,
): Map<string, number[]> {
  const lengths = new Map<string, number[]>([...stores.keys()].map((name) => [name, []]));
  for (const [u, { tokens }] of plan.units.slice(0, units).entries())
    for (const [i, count] of tokens.entries()) lengths.get(nameOf(u, i))!.push(storedTokens(input, count));
  return lengths;
}

/** @param written by store, what there is to go on with; undefined: nothing  @returns undefined where it is not there */
async function openWriters(
  folder: string,
  { tokenizer: { vocabularySize } }: TokenizeInput,
  written: ReadonlyMap<string, readonly number[] | undefined>,
): Promise<Map<string, TokenStoreWriter> | undefined> {
  const writers = new Map<string, TokenStoreWriter>();
  try {
    for (const [name, lengths] of written) {
      const options = { vocabularySize, ...(lengths && { written: lengths }) };
      writers.set(name, await TokenStoreWriter.create(join(folder, name), options));
    }
    return writers;
  } catch (error) {
    for (const writer of writers.values()) await writer.suspend();
    if ((error as { code?: unknown }).code === "ENOENT" || (error as { code?: unknown }).code === "token-store")
      return undefined;
    throw error;
  }
}

/** Undefined where no run has begun, or the last one was cut off while it put complete stores into place. */
async function unitsWritten(folder: string): Promise<number | undefined> {
  try {
    return (JSON.parse(await readFile(join(folder, PROGRESS), "utf8")) as { units: number }).units;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
