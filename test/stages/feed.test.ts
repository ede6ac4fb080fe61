/** The feed: the same batches as without it, so many ahead and no more, and a slow one is seen as waiting. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import { openTokenStore, TokenStoreWriter, tokenWindows } from "../../src/formats/token-store.ts";
import { DoremiError, toPlainError } from "../../src/lib/errors.ts";
import { Feed } from "../../src/stages/feed.ts";
import { batchesAhead, type FeedPlan, type FromFeed, type ToFeed } from "../../src/stages/feed-contract.ts";
import { WorkThread } from "../../src/stages/work-thread.ts";
import { createBatchSource } from "../../src/trainer/batches.ts";
import type { StepRecord } from "../../src/trainer/contract.ts";
import { train } from "../../src/trainer/train.ts";
import { ADAMW, randomBatch, TINY } from "../trainer/tiny.ts";

const T = 8;
const B = 4;

let folder: string;
let ports: { here: MessagePort; there: MessagePort };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-feed-"));
  const { port1, port2 } = new MessageChannel();
  ports = { here: port1, there: port2 };
});
afterEach(() => {
  ports.here.close();
  rmSync(folder, { recursive: true, force: true });
});

async function plan(overrides: Partial<FeedPlan> = {}): Promise<FeedPlan> {
  const path = join(folder, "store");
  const writer = await TokenStoreWriter.create(path, { vocabularySize: 100 });
  await writer.write(Uint32Array.from({ length: 20 * T + 1 }, (_, i) => (7 * i) % 100));
  await writer.commit();
  return {
    names: ["only"],
    stores: [{ path, fingerprint: "", unfinished: null }],
    heldOut: [{ path, fingerprint: "", unfinished: null }],
    weights: [1],
    batchSize: B,
    sequenceLength: T,
    steps: 200,
    seed: 3,
    evaluationSequences: 6,
    referenceLosses: null,
    vocabulary: null,
    ...overrides,
  };
}

function start(feedPlan: FeedPlan): WorkThread<never, never> {
  const module = new URL("../../src/stages/feed-thread.ts", import.meta.url);
  const data = { plan: feedPlan, port: ports.there };
  return new WorkThread({ name: "the feed", module, data, transfer: [ports.there], remedy: "" });
}

describe("the feed", () => {
  it("gives the batches of its stores, of any step it is asked for, and those for evaluation", async () => {
    const feedPlan = await plan();
    const thread = start(feedPlan);
    const feed = new Feed(ports.here);
    const store = await openTokenStore(feedPlan.stores[0]!.path);
    const readers = [tokenWindows(store, T)];
    const expected = createBatchSource({ ...feedPlan, readers });
    const batches = feed.training({ domains: 1, batchSize: B }, false);
    for (const step of [3, 4, 5, 120, 1, 2, 200]) expect(await batches.batch(step)).toEqual(expected.batch(step));
    const evaluated = [];
    for await (const batch of feed.evaluation()) evaluated.push(batch.mask.reduce((sum, counts) => sum + counts, 0));
    expect(evaluated).toEqual([B * T, 2 * T]);
    store.close();
    await thread.end();
  });

  it("prepares so many batches ahead and no more until one is taken", async () => {
    const feedPlan = await plan();
    const thread = start(feedPlan);
    const received: FromFeed[] = [];
    ports.here.on("message", (message) => received.push(message));
    const send = (message: ToFeed) => ports.here.postMessage(message);
    const settled = async (count: number) => {
      while (received.length < count) await sleep(5);
      await sleep(100);
      return received.length;
    };
    send({ type: "open", stream: 1, request: { kind: "training", from: 1, reference: false } });
    const ahead = batchesAhead(feedPlan);
    expect(await settled(ahead)).toBe(ahead);
    for (let i = 0; i < 3; i++) send({ type: "taken", stream: 1 });
    send({ type: "taken", stream: 0 }); // of a stream that is over
    expect(await settled(ahead + 3)).toBe(ahead + 3);
    await thread.end();
  });

  it("holds at most 64 MiB of batches, but always two", () => {
    expect(batchesAhead({ batchSize: 16, sequenceLength: 256 })).toBe(64);
    expect(batchesAhead({ batchSize: 512, sequenceLength: 1024 })).toBe(8);
    expect(batchesAhead({ batchSize: 4096, sequenceLength: 8192 })).toBe(2);
  });

  it("says what is wrong with a store", async () => {
    const broken = await plan({ stores: [{ path: join(folder, "nowhere"), fingerprint: "", unfinished: null }] });
    const thread = start(broken);
    const batch = new Feed(ports.here).training({ domains: 1, batchSize: B }, false).batch(1);
    await expect(batch).rejects.toMatchObject({ code: "missing-file", file: join(folder, "nowhere.idx") });
    await thread.end();
  });
});

describe("the time that the engine waits", () => {
  /** Trains from a feed that takes so long over each batch. */
  async function waited(batchMs: number): Promise<StepRecord[]> {
    const { here, there } = ports;
    there.on("message", async (message: ToFeed) => {
      if (message.type !== "open") return;
      for (let step = 1; step <= 6; step++) {
        await sleep(batchMs);
        there.postMessage({ type: "batch", stream: message.stream, batch: randomBatch(TINY, B, 1, step) });
      }
    });
    const records: StepRecord[] = [];
    const engine = await createCpuEngine({ threads: 1 });
    await train({
      engine,
      model: TINY,
      optimizer: ADAMW,
      batches: new Feed(here).training({ domains: 1, batchSize: B }, false),
      steps: 6,
      seed: 1,
      onStep: async (record) => {
        records.push(record);
        if (batchMs === 0) await sleep(20); // a feed that is ahead
      },
    });
    await engine.close();
    return records;
  }

  it("is a slow feed's", async () => {
    const records = await waited(150);
    for (const { waitMs, durationMs } of records.slice(1)) {
      expect(waitMs).toBeGreaterThan(30);
      expect(waitMs).toBeLessThanOrEqual(durationMs);
    }
  });

  it("is nothing where the feed is ahead", async () => {
    const records = await waited(0);
    const waits = records.slice(1).map(({ waitMs }) => waitMs);
    expect(waits.sort((a, b) => a - b)[2]).toBeLessThan(5); // the median: the machine may be busy with something else
  });

  it("ends with what the feed failed of", async () => {
    const error = new DoremiError("bad-data", "token-store", "store.bin: became shorter");
    ports.there.on("message", () => ports.there.postMessage({ type: "failed", error: toPlainError(error) }));
    const batch = new Feed(ports.here).training({ domains: 1, batchSize: B }, false).batch(1);
    await expect(batch).rejects.toMatchObject({ code: "token-store", message: "store.bin: became shorter" });
  });
});
