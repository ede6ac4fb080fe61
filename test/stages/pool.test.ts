import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { WorkerPool, workerModule } from "../../src/stages/pool.ts";

const ECHO = workerModule(import.meta.url, "./workers/echo");
const BUSY = workerModule(import.meta.url, "./workers/busy");
const LOADING = workerModule(import.meta.url, "./workers/loading");
let pool: WorkerPool;
afterEach(() => pool.close());

const tasks = (n: number, memoryBytes: number, waitMs: (i: number) => number) =>
  Array.from({ length: n }, (_, i) => ({ memoryBytes, input: { value: i, waitMs: waitMs(i) } }));

async function values(source: AsyncIterable<{ output: number }>): Promise<number[]> {
  const all: number[] = [];
  for await (const { output } of source) all.push(output);
  return all;
}

describe("the worker pool", () => {
  it("gives results in the order of the tasks, whatever finishes first", async () => {
    pool = new WorkerPool({ workers: 2 });
    expect(
      await values(
        pool.map<unknown, number>(
          ECHO,
          tasks(8, 1, (i) => (i % 2 === 0 ? 40 : 1)),
        ),
      ),
    ).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("counts results that wait for their turn as memory", async () => {
    pool = new WorkerPool({ workers: 2, memoryBytes: 100 });
    await values(
      pool.map<unknown, number>(
        ECHO,
        tasks(4, 1, () => 50),
      ),
    ); // both workers have started
    let pulled = 0;
    const source = async function* () {
      for (const task of tasks(6, 40, (i) => (i === 0 ? 1000 : 1))) {
        pulled++;
        yield task;
        await sleep(100); // the ones before are done by now, but for the first
      }
    };
    const results = pool.map<unknown, number>(ECHO, source());
    expect((await results.next()).value?.output).toBe(0);
    expect(pulled).toBe(3); // the third was asked for, and found no room
    expect(await values(results)).toEqual([1, 2, 3, 4, 5]);
  });

  it("keeps what is in flight within its memory, and lets a larger task run alone", async () => {
    pool = new WorkerPool({ workers: 4, memoryBytes: 250 });
    await values(
      pool.map<unknown, number>(
        ECHO,
        tasks(10, 100, () => 5),
      ),
    );
    expect(pool.peakInFlight).toBeLessThanOrEqual(250);
    expect(pool.peakInFlight).toBeGreaterThan(100);
    expect(
      await values(
        pool.map<unknown, number>(
          ECHO,
          tasks(3, 1000, () => 1),
        ),
      ),
    ).toEqual([0, 1, 2]);
    expect(pool.peakInFlight).toBe(1000);
  });

  it("pulls tasks only as there is room", async () => {
    pool = new WorkerPool({ workers: 1, memoryBytes: 100 });
    let pulled = 0;
    const source = function* () {
      for (const task of tasks(50, 60, () => 1)) {
        pulled++;
        yield task;
      }
    };
    const results = pool.map<unknown, number>(ECHO, source());
    await results.next();
    expect(pulled).toBeLessThanOrEqual(3);
    await results.return(undefined);
  });

  it("brings a worker's error whole", async () => {
    pool = new WorkerPool({ workers: 2 });
    const bad = [...tasks(3, 1, () => 1), { memoryBytes: 1, input: { value: 3, waitMs: 1, fail: true } }];
    await expect(values(pool.map<unknown, number>(ECHO, bad))).rejects.toMatchObject({
      name: "DoremiError",
      kind: "bad-data",
      code: "corrupt",
      message: "number 3 is bad",
      file: "f",
      rowGroup: 3,
    });
  });

  it("stops on an aborted signal", async () => {
    pool = new WorkerPool({ workers: 1 });
    const stop = new AbortController();
    const results = pool.map<unknown, number>(
      ECHO,
      tasks(100, 1, () => 5),
      stop.signal,
    );
    await results.next();
    stop.abort();
    await expect(values(results)).rejects.toMatchObject({ kind: "interrupted" });
  });

  it.each([
    ["waits", ECHO, { waitMs: 60_000 }],
    ["computes", BUSY, { busyMs: 60_000 }],
  ])("leaves at once when it is stopped while a worker %s", async (_what, worker, input) => {
    pool = new WorkerPool({ workers: 2 });
    const stop = new AbortController();
    const all = Array.from({ length: 6 }, (_, value) => ({ memoryBytes: 1, input: { value, ...input } }));
    const results = pool.map<unknown, number>(worker, all, stop.signal);
    const head = results.next();
    setTimeout(() => stop.abort(), 1000); // the workers have started by then
    await expect(head).rejects.toMatchObject({ kind: "interrupted" });
    const stopped = performance.now();
    await pool.close();
    expect(performance.now() - stopped).toBeLessThan(5000);
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  it("stops while it waits for a task, or for room", async () => {
    pool = new WorkerPool({ workers: 1, memoryBytes: 10 });
    const stop = new AbortController();
    const never = async function* () {
      await new Promise(() => {});
      yield tasks(1, 1, () => 1)[0]!;
    };
    const idle = pool.map<unknown, number>(ECHO, never(), stop.signal).next();
    const taken = pool.map<unknown, number>(
      ECHO,
      tasks(1, 10, () => 60_000),
    );
    void taken.next().catch(() => {}); // ends with the pool
    const waiting = pool.map<unknown, number>(
      ECHO,
      tasks(1, 10, () => 1),
      stop.signal,
    );
    const room = waiting.next();
    setTimeout(() => stop.abort(), 50);
    await expect(idle).rejects.toMatchObject({ kind: "interrupted" });
    await expect(room).rejects.toMatchObject({ kind: "interrupted" });
  });

  it("lets a worker load its module before it ends it, and gives it no more tasks", async () => {
    // Ended while it loads, a worker never ends (Node 24) or takes the process with it (Node 20).
    pool = new WorkerPool({ workers: 1 });
    const stop = new AbortController();
    const reached = new Int32Array(new SharedArrayBuffer(4 * 8));
    const input = { reached, loadingMs: 500 };
    const all = Array.from({ length: 8 }, () => ({ memoryBytes: 1, input }));
    const head = pool.map<unknown, number>(LOADING, all, stop.signal).next();
    setTimeout(() => stop.abort(), 20); // the worker has not even begun to load
    await expect(head).rejects.toMatchObject({ kind: "interrupted" });
    expect(reached[0]).toBe(0);
    await pool.close();
    expect(reached[0]).toBeGreaterThan(0);
    expect(reached[0]).toBeLessThanOrEqual(2); // what the worker had
  });

  it("meets no answer that nobody waits for, whenever it is stopped and closed", async () => {
    // An unhandled rejection or an uncaught exception fails the whole test run.
    for (let round = 0; round < 12; round++) {
      pool = new WorkerPool({ workers: 2 });
      const stop = new AbortController();
      const results = pool.map<unknown, number>(
        ECHO,
        tasks(400, 1, () => 0),
        stop.signal,
      );
      await results.next();
      setTimeout(() => stop.abort(), round);
      await expect(values(results)).rejects.toMatchObject({ kind: "interrupted" });
      await pool.close();
    }
  });
});
