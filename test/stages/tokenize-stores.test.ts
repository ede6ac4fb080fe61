/** Token stores while they are written: known beforehand, readable as they grow, and gone on with to the same bytes. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTokenStore, TokenStoreWriter } from "../../src/formats/token-store.ts";
import type { CountedShard } from "../../src/stages/count/contract.ts";
import { FeedStore } from "../../src/stages/feed-store.ts";
import type { TokenizeInput } from "../../src/stages/tokenize/contract.ts";
import type { Split, TokenizePlan } from "../../src/stages/tokenize/plan.ts";
import { planStores, StoresWriter, storeOf } from "../../src/stages/tokenize/stores.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-stores-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const INPUT = {
  tokenizer: { fingerprint: "f", specialTokens: "text", endOfText: 0, vocabularySize: 100 },
  textColumn: "text",
  transform: null,
} as unknown as TokenizeInput;

/** Units of documents of these lengths; domains and splits in turn. */
function corpus(units: readonly (readonly number[])[], input = INPUT, shard = "s") {
  const plan = {
    units: units.map((tokens, u) => ({
      shard: 0,
      unit: u,
      rows: Uint32Array.from(tokens.keys()),
      domain: Int32Array.from(tokens, (_, i) => (u + i) % 2),
      heldOut: new Uint8Array(tokens.length),
      tokens: Uint32Array.from(tokens),
    })),
  } as unknown as TokenizePlan;
  const kinds: readonly Split[] = ["reference", "proxy", "held-out"];
  const splits = units.map((tokens) => tokens.map((_, i) => kinds[i % 3]!));
  const nameOf = storeOf(plan, splits);
  const stores = planStores(input, [{ sha256: shard } as CountedShard], plan, nameOf);
  const documents = units.map((tokens, u) =>
    tokens.map((length, i) => Uint32Array.from({ length: length + 1 }, (_, t) => (t < length ? (u + i + t) % 99 : 0))),
  );
  return {
    stores,
    documents,
    open: (name: string) => StoresWriter.open(join(folder, name), INPUT, plan, stores, nameOf),
  };
}

const bytes = (name: string) =>
  Object.fromEntries(
    readdirSync(join(folder, name)).map((file) => [file, readFileSync(join(folder, name, file), "hex")]),
  );

describe("token stores", () => {
  it("hold what was announced, and a fingerprint tells other documents, shards and tokenizers", async () => {
    const units = [
      [3, 0, 5],
      [7, 2],
    ];
    const { stores, documents, open } = corpus(units);
    const writer = await open("a");
    for (const unit of documents) await writer.write(unit);
    await writer.commit();
    for (const [name, { documents: count, tokens }] of stores) {
      const store = await openTokenStore(join(folder, "a", name));
      expect([store.lengths.length, store.tokens]).toEqual([count, tokens]);
      store.close();
    }
    const fingerprints = (of: typeof stores) => [...of.values()].map((store) => store.fingerprint);
    expect(fingerprints(corpus(units).stores)).toEqual(fingerprints(stores));
    const tokenizer = { ...INPUT.tokenizer, fingerprint: "g" };
    for (const other of [corpus(units, { ...INPUT, tokenizer }), corpus(units, INPUT, "t")])
      for (const fingerprint of fingerprints(other.stores)) expect(fingerprints(stores)).not.toContain(fingerprint);
  });

  it("are gone on with to the same bytes, wherever they were stopped and whatever came after the last record", async () => {
    const lengths = fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 5,
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(lengths, fc.nat(), fc.boolean(), async (units, stop, killed) => {
        const [whole, cut] = [`whole-${run}`, `cut-${run++}`];
        const { documents, open, stores } = corpus(units);
        const uninterrupted = await open(whole);
        for (const unit of documents) await uninterrupted.write(unit);
        await uninterrupted.commit();

        const before = stop % (units.length + 1);
        const first = await open(cut);
        for (const unit of documents.slice(0, before)) await first.write(unit);
        const killedAt = join(folder, `${cut}-killed`);
        if (killed) cpSync(join(folder, cut), killedAt, { recursive: true }); // as the disk is then
        await first.suspend();
        if (killed) {
          rmSync(join(folder, cut), { recursive: true });
          renameSync(killedAt, join(folder, cut));
          for (const name of stores.keys()) appendFileSync(join(folder, cut, `${name}.bin.part`), "torn");
        }
        const second = await open(cut);
        expect(second.unitsBefore).toBe(killed ? 0 : before);
        for (const unit of documents.slice(second.unitsBefore)) await second.write(unit);
        await second.commit();
        expect(bytes(cut)).toEqual(bytes(whole));
      }),
      { numRuns: 15 },
    );
  });

  it("are written from the start where a part was lost or cut", async () => {
    const { documents, open } = corpus([[9, 9, 9], [9]]);
    const parts = () => readdirSync(join(folder, "a")).filter((file) => file.endsWith(".part"));
    for (const harm of [(path: string) => rmSync(path), (path: string) => truncateSync(path, 3)]) {
      const first = await open("a");
      await first.write(documents[0]!);
      await first.suspend();
      harm(join(folder, "a", parts()[0]!));
      const second = await open("a");
      expect(second.unitsBefore).toBe(0);
      await second.suspend();
    }
  });
});

describe("a store that is still written", () => {
  const T = 4;
  const ids = Uint32Array.from({ length: 3 * T + 1 }, (_, i) => i);
  const place = () => ({
    path: join(folder, "final", "x"),
    fingerprint: "",
    unfinished: { path: join(folder, "work", "x"), tokens: ids.length, vocabularySize: 100 },
  });

  it("gives a sequence when it is there, and not before", async () => {
    const writer = await TokenStoreWriter.create(join(folder, "work", "x"), { vocabularySize: 100 });
    await writer.write(ids.subarray(0, T + 1));
    await writer.flush();
    const store = await FeedStore.open(place(), T, { tail: false });
    expect(store.sequences).toBe(3); // of the finished store
    await store.reached(0);
    expect([...store.sequence(0)]).toEqual([0, 1, 2, 3, 4]);
    let there = false;
    const later = store.reached(1).then(() => {
      there = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(there).toBe(false);
    await writer.write(ids.subarray(T + 1));
    await writer.commit();
    renameSync(join(folder, "work"), join(folder, "final")); // published meanwhile
    await later;
    await store.whole();
    expect([...store.sequence(2)]).toEqual([8, 9, 10, 11, 12]);
  });

  it("is found wherever it has got to", async () => {
    const writer = await TokenStoreWriter.create(join(folder, "work", "x"), { vocabularySize: 100 });
    await writer.write(ids);
    await writer.commit();
    expect(existsSync(join(folder, "work", "x.bin.part"))).toBe(false);
    for (const step of ["complete", "published"]) {
      if (step === "published") renameSync(join(folder, "work"), join(folder, "final"));
      const store = await FeedStore.open(place(), T, { tail: false });
      await store.whole();
      expect([...store.sequence(1)], step).toEqual([4, 5, 6, 7, 8]);
    }
  });
});
