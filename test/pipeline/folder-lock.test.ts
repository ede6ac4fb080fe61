import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startOf, systemName } from "../../src/lib/process-identity.ts";
import { type FolderLock, LOCK_TIMING, lockFolder } from "../../src/pipeline/folder-lock.ts";
import type { Answer, Order } from "./lock-process.ts";

/** Called before a file is opened, to let others go ahead of somebody slow. */
let beforeOpen: ((flags: unknown) => Promise<void>) | undefined;
vi.mock(import("node:fs/promises"), async (original) => {
  const real = await original();
  return {
    ...real,
    async open(path, flags, mode) {
      await beforeOpen?.(flags);
      return real.open(path, flags, mode);
    },
  };
});

let folder: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-lock-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

function start(): ChildProcess {
  const child = fork(fileURLToPath(new URL("lock-process.ts", import.meta.url)), { execArgv: ["--import", "tsx"] });
  children.push(child);
  return child;
}

async function tell(child: ChildProcess, order: Order): Promise<Answer> {
  child.send(order);
  const [answer] = await once(child, "message");
  return answer as Answer;
}

/** A lock as a run would have left it. */
async function leave(number: number, holder: Record<string, unknown>, silentMs = 0): Promise<void> {
  const path = join(folder, `lock.${number}`);
  await writeFile(path, JSON.stringify({ host: hostname(), token: "theirs", ...holder }));
  const then = (Date.now() - silentMs) / 1000;
  await utimes(path, then, then);
}

const ELSEWHERE = { system: "elsewhere", host: "elsewhere", pid: 1, started: "1" };
/** Dead by its time alone is what gives no sign of life for 50 ms more. */
const QUICK = { heartbeatMs: 20, staleMs: LOCK_TIMING.staleMs };
const locks = async () => (await readdir(folder)).sort();

describe("the lock of a folder", () => {
  it("is one run's until it is released", async () => {
    const lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({
      code: "locked",
      exitStatus: 78,
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await lock.release();
    expect(await locks()).toEqual([]);
    await (await lockFolder(folder)).release();
  });

  it("is one of several that ask for it together", async () => {
    for (let round = 0; round < 20; round++) {
      const asked = await Promise.allSettled([1, 2, 3, 4].map(() => lockFolder(folder)));
      const taken = asked.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      expect(taken).toHaveLength(1);
      for (const result of asked) if (result.status === "rejected") expect(result.reason.code).toBe("locked");
      await taken[0]!.release();
    }
  });

  it("is not taken by somebody who looked before others came and went", async () => {
    await leave(1, ELSEWHERE, 2 * LOCK_TIMING.staleMs);
    let taken: FolderLock | undefined;
    beforeOpen = async (flags) => {
      if (flags !== "wx") return;
      beforeOpen = undefined;
      await (await lockFolder(folder, folder, QUICK)).release(); // lock.2, and clears the dead one away
      taken = await lockFolder(folder, folder, QUICK); // lock.1
    };
    await expect(lockFolder(folder, folder, QUICK)).rejects.toMatchObject({ code: "locked" });
    expect(beforeOpen).toBeUndefined();
    expect(await locks()).toEqual(["lock.1"]);
    await taken!.release();
  });

  it("is not taken from somebody who wakes up in the middle of it", async () => {
    await leave(1, ELSEWHERE, 2 * LOCK_TIMING.staleMs);
    beforeOpen = async (flags) => {
      if (flags !== "wx") return;
      beforeOpen = undefined;
      await leave(1, ELSEWHERE);
    };
    await expect(lockFolder(folder, folder, QUICK)).rejects.toMatchObject({ code: "locked" });
    expect(beforeOpen).toBeUndefined();
    expect(await locks()).toEqual(["lock.1"]);
  });

  it("is taken from a process that was killed, at once", async () => {
    const child = start();
    expect(await tell(child, { take: folder })).toEqual({ taken: true });
    await expect(lockFolder(folder)).rejects.toMatchObject({
      message: expect.stringContaining(`process ${child.pid}`),
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    await (await lockFolder(folder)).release();
  });

  it("is released by a process that leaves without a word", async () => {
    const child = start();
    await tell(child, { take: folder });
    child.send({ exit: 3 } satisfies Order);
    await once(child, "exit");
    expect(await locks()).toEqual([]);
  });

  it.runIf(process.platform === "linux")(
    "is not kept by another process that got the number (needs /proc to tell)",
    async () => {
      const { pid } = process;
      const started = await startOf(pid);
      await leave(1, { system: await systemName(), pid, started: String(Number(started) - 1) });
      await (await lockFolder(folder)).release();
      await leave(9, { system: await systemName(), pid, started }, 10 * LOCK_TIMING.staleMs);
      await expect(lockFolder(folder)).rejects.toMatchObject({ code: "locked" });
    },
  );

  it("of another system holds as long as it gives signs of life", async () => {
    await leave(4, ELSEWHERE, LOCK_TIMING.staleMs - 10_000);
    await expect(lockFolder(folder, folder, QUICK)).rejects.toMatchObject({
      code: "locked",
      message: expect.stringMatching(/process 1 on elsewhere does now, with a sign of life 1\d\d s ago; .*120 s after/),
    });
    expect(await locks()).toEqual(["lock.4"]);
    await leave(4, ELSEWHERE, LOCK_TIMING.staleMs + 10_000);
    const lock = await lockFolder(folder, folder, QUICK);
    expect(await locks()).toEqual(["lock.5"]);
    await lock.release();
    expect(await locks()).toEqual([]);
  });

  it("of a job that its Slurm cluster began again is free at once, and another job's is not", async () => {
    vi.stubEnv("SLURM_CLUSTER_NAME", "here");
    vi.stubEnv("SLURM_JOB_ID", "17");
    vi.stubEnv("SLURM_RESTART_COUNT", "1");
    try {
      await leave(1, { ...ELSEWHERE, job: { id: "here 17", restart: 0 } });
      await (await lockFolder(folder)).release();
      for (const job of [{ id: "here 18", restart: 0 }, { id: "here 17", restart: 1 }, undefined]) {
        await leave(1, { ...ELSEWHERE, job });
        await expect(lockFolder(folder)).rejects.toMatchObject({ code: "locked" });
      }
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("is waited for in a job of a cluster, as long as its holder may be dead, and no longer", async () => {
    const timing = { heartbeatMs: 20, staleMs: 200 };
    await leave(1, ELSEWHERE);
    await (await lockFolder(folder, folder, timing, { waits: true })).release();
    await leave(1, ELSEWHERE, -60_000); // gives signs of life all the time
    await expect(lockFolder(folder, folder, timing, { waits: true })).rejects.toMatchObject({ code: "locked" });
    const { pid } = process;
    await leave(1, { system: await systemName(), pid, started: await startOf(pid) });
    const locked = lockFolder(folder, folder, { heartbeatMs: 20, staleMs: 1e9 }, { waits: true });
    await expect(locked).rejects.toMatchObject({ code: "locked" }); // it is there: nothing to wait for
  });

  it("goes by the clock of the files, not by ours", async () => {
    await leave(1, ELSEWHERE);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    try {
      await expect(lockFolder(folder)).rejects.toMatchObject({ code: "locked" });
    } finally {
      vi.useRealTimers();
    }
  });

  it("is not taken from the living by a clock that jumped hours ahead", async () => {
    await leave(1, ELSEWHERE);
    const path = join(folder, "lock.1");
    const hoursAgo = Date.now() / 1000 - 5 * 3600;
    await utimes(path, hoursAgo, hoursAgo);
    const timer = setInterval(() => void writeFile(path, JSON.stringify({ ...ELSEWHERE, token: "theirs" })), 20);
    try {
      await expect(lockFolder(folder, folder, QUICK)).rejects.toMatchObject({ code: "locked" });
    } finally {
      clearInterval(timer);
    }
  });

  it("that a run died in taking is held for a while, then free", async () => {
    await writeFile(join(folder, "lock.1"), "");
    await expect(lockFolder(folder, folder, QUICK)).rejects.toMatchObject({ code: "locked" });
    await utimes(join(folder, "lock.1"), 1, 1);
    await (await lockFolder(folder, folder, QUICK)).release();
  });

  it("gives signs of life that others see", async () => {
    const lock = await lockFolder(folder, folder, { heartbeatMs: 20, staleMs: 120_000 });
    const path = join(folder, "lock.1");
    const content = await readFile(path, "utf8");
    await utimes(path, 1, 1);
    await vi.waitFor(async () => expect(Date.now() - (await stat(path)).mtimeMs).toBeLessThan(60_000));
    expect(await readFile(path, "utf8")).toBe(content);
    expect(lock.lost.aborted).toBe(false);
    await lock.release();
  });

  it("is known to be lost when another took it over, whose lock stays as it is", async () => {
    const lock = await lockFolder(folder, folder, { heartbeatMs: 20, staleMs: 120_000 });
    await rm(join(folder, "lock.1")); // as the other does, after it made lock.2; its own next one has our number
    await leave(1, ELSEWHERE);
    const theirs = await readFile(join(folder, "lock.1"), "utf8");
    await vi.waitFor(() => expect(lock.lost.aborted).toBe(true));
    expect(lock.lost.reason).toMatchObject({ code: "lock-lost", kind: "interrupted" });
    await lock.release();
    expect(await readFile(join(folder, "lock.1"), "utf8")).toBe(theirs);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: "locked" });
  });

  it("that went stale is taken over by exactly one of many processes", async () => {
    const racers = Array.from({ length: 6 }, start);
    await Promise.all(racers.map((racer) => tell(racer, { release: true }))); // they are up
    for (let round = 0; round < 60; round++) {
      const dead = round % 2 === 0;
      if (dead) await leave(1, { system: await systemName(), pid: 2 ** 22 + 1, started: "1" });
      else await leave(3, ELSEWHERE, 2 * LOCK_TIMING.staleMs);
      const answers = await Promise.all(
        // The same moment for all, or some a little later, as the winner writes and cleans up.
        racers.map((racer, i) =>
          tell(racer, { take: folder, afterMs: round % 3 === 0 ? 0 : ((i * 7 + round) % 5) / 2 }),
        ),
      );
      expect(answers.filter((answer) => "taken" in answer && answer.taken)).toHaveLength(1);
      for (const answer of answers) if ("code" in answer) expect(answer.code).toBe("locked");
      expect(await locks()).toEqual([dead ? "lock.2" : "lock.4"]);
      await Promise.all(racers.map((racer) => tell(racer, { release: true })));
    }
  }, 60_000);
});
