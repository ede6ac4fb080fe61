import { EventEmitter } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { SIGNAL_STATUS, type StopSignal, watchSignals } from "../../src/cli/signals.ts";

function watched(deadlineMs?: number) {
  const source = new EventEmitter();
  const said: [string, boolean][] = [];
  const exits: number[] = [];
  const watch = watchSignals({
    source,
    onStop: (received, late) => said.push([received, late]),
    exit: (status) => exits.push(status),
    ...(deadlineMs !== undefined && { deadlineMs }),
  });
  return { source, said, exits, watch };
}

describe("watchSignals", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGUSR1", 75],
  ] as const)("%s aborts first and exits with %d the second time", (name, status) => {
    const { source, said, exits, watch } = watched();
    expect(watch.signal.aborted).toBe(false);
    source.emit(name);
    expect(watch.signal.aborted).toBe(true);
    expect(watch.received()).toBe(name);
    expect([said, exits]).toEqual([[[name, false]], []]);
    source.emit(name);
    expect(exits).toEqual([status]);
    watch.release();
    expect(source.eventNames()).toEqual([]);
  });

  it("leaves by itself when the run does not stop in time", async () => {
    const { source, said, exits, watch } = watched(20);
    source.emit("SIGTERM" satisfies StopSignal);
    // The deadline's timer does not keep the program alive, so the test has to.
    for (let i = 0; i < 100 && exits.length === 0; i++) await wait(10);
    expect(exits).toEqual([SIGNAL_STATUS.SIGTERM]);
    expect(said).toEqual([
      ["SIGTERM", false],
      ["SIGTERM", true],
    ]);
    watch.release();
  });
});
