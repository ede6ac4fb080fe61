import { spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { constants } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { SIGNAL_STATUS, type StopSignal, watchSignals } from "../../src/cli/signals.ts";

function watched({ deadlineMs = 60_000, repeatedMs = -1 } = {}) {
  const source = new EventEmitter();
  const said: [string, boolean][] = [];
  const left: StopSignal[] = [];
  const watch = watchSignals({
    source,
    onStop: (received, late) => said.push([received, late]),
    leave: (received) => left.push(received),
    deadlineMs,
    repeatedMs,
  });
  return { source, said, left, watch };
}

describe("watchSignals", () => {
  it.each(["SIGINT", "SIGTERM", "SIGUSR1"] as const)("%s aborts first and leaves the second time", (name) => {
    const { source, said, left, watch } = watched();
    expect(watch.signal.aborted).toBe(false);
    source.emit(name);
    expect(watch.signal.aborted).toBe(true);
    expect(watch.received()).toBe(name);
    expect([said, left]).toEqual([[[name, false]], []]);
    source.emit(name);
    expect(left).toEqual([name]);
    watch.release();
    expect(source.eventNames()).toEqual([]);
  });

  it("leaves by itself when the run does not stop in time", async () => {
    const { source, said, left, watch } = watched({ deadlineMs: 20 });
    source.emit("SIGTERM" satisfies StopSignal);
    // The deadline's timer does not keep the program alive, so the test has to.
    for (let i = 0; i < 100 && left.length === 0; i++) await wait(10);
    expect(left).toEqual(["SIGTERM"]);
    expect(said).toEqual([
      ["SIGTERM", false],
      ["SIGTERM", true],
    ]);
    watch.release();
  });

  it("takes one signal that comes twice for one, and another for another", () => {
    const { source, left, watch } = watched({ repeatedMs: 60_000 });
    for (const name of ["SIGTERM", "SIGTERM"] as const) source.emit(name);
    expect(left).toEqual([]);
    source.emit("SIGINT");
    expect(left).toEqual(["SIGINT"]);
    watch.release();
  });

  it("has no deadline after SIGUSR1, which comes in good time", async () => {
    const { source, left, watch } = watched({ deadlineMs: 0 });
    source.emit("SIGUSR1");
    await wait(20);
    expect(left).toEqual([]);
    watch.release();
  });

  it.each(["SIGINT", "SIGTERM"] as const)("ends by %s a process whose thread cannot be ended", async (name) => {
    // A thread in a native call that never returns, which process.exit would wait for.
    const blocked =
      'const { Worker } = require("node:worker_threads"); new Worker("require(\'node:fs\').readSync(0, Buffer.alloc(1))", { eval: true, execArgv: [] });';
    const signals = fileURLToPath(new URL("../../src/cli/signals.ts", import.meta.url));
    const script = `import { createRequire } from "node:module"; const require = createRequire(${JSON.stringify(signals)});
      ${blocked}
      const { watchSignals } = await import(${JSON.stringify(signals)});
      watchSignals({ onStop: () => console.log("stopping"), repeatedMs: -1 });
      setTimeout(() => console.log("ready"), 100);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script]);
    const ended = new Promise((resolve) => child.on("exit", (status, signal) => resolve([status, signal])));
    child.stdout.on("data", () => child.kill(name));
    expect(await ended).toEqual([null, name]);
    expect(SIGNAL_STATUS[name] - 128).toBe(constants.signals[name]);
  });
});
