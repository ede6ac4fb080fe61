/** Two runs in one output folder, and runs that are told to leave while they wait: the built program, in processes. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, it } from "vitest";
import { pipelineFile, start, waitFor } from "./program.ts";
import { temporaryFolder } from "./small.ts";

const COUNTING = /"event":"start","stage":"count"|"stage":"count","event":"start"/;

it("the second of two runs in a folder is told who holds it, and the first is not disturbed", async () => {
  const folder = temporaryFolder();
  const gate = join(folder, "gate");
  const { file, output } = pipelineFile(folder, "held", { transform: waitFor(gate) });
  const first = start(["run", file]);
  await first.said(COUNTING);
  const second = await start(["run", file]).ended;
  expect(second.status).toBe(78);
  expect(second.result.error).toMatchObject({
    code: "locked",
    message: expect.stringContaining(`process ${first.child.pid} does now; wait for it, or stop it`),
  });
  writeFileSync(gate, "");
  expect(await first.ended).toMatchObject({ status: 0, result: { status: "done" } });
  expect(readdirSync(join(output, ".doremi")).filter((name) => name.startsWith("lock."))).toEqual([]);
  expect((await start(["run", file]).ended).result.status).toBe("unchanged");
});

it("a run that was killed leaves its lock, and the next one goes on at once to the same bytes", async () => {
  const folder = temporaryFolder();
  const gate = join(folder, "gate");
  const { file, output } = pipelineFile(folder, "killed", { transform: waitFor(gate) });
  const first = start(["run", file]);
  await first.said(COUNTING);
  first.child.kill("SIGKILL");
  await first.ended;
  expect(readdirSync(join(output, ".doremi")).filter((name) => name.startsWith("lock."))).toEqual(["lock.1"]);
  writeFileSync(gate, "");
  expect((await start(["run", file]).ended).status).toBe(0);
  const whole = join(folder, "whole");
  expect((await start(["run", file, "--output", whole]).ended).status).toBe(0);
  const selection = (at: string) => readFileSync(join(at, "resample/selection.parquet"), "latin1");
  expect(selection(output)).toBe(selection(whole));
});

it.each([
  ["SIGUSR1", 75],
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s once saves the state, twice ends the process by the signal", async (name, status) => {
  const folder = temporaryFolder();
  const gate = join(folder, "gate");
  const { file } = pipelineFile(folder, "asked", { transform: waitFor(gate) });
  const once = start(["run", file]);
  await once.said(COUNTING);
  once.child.kill(name);
  expect(await once.ended).toMatchObject({ status, result: { error: { code: "interrupted" } } });
  writeFileSync(gate, "");
  expect((await start(["run", file]).ended).status).toBe(0);

  // A stage that does not listen: the first signal waits for it.
  const deaf = pipelineFile(folder, "deaf", { stage: "await new Promise((resolve) => setTimeout(resolve, 15_000));" });
  const twice = start(["run", deaf.file]);
  await twice.said(/"stage":"own"/);
  twice.child.kill(name);
  await wait(1000); // sooner it may be taken for the same signal
  twice.child.kill(name);
  expect(await twice.ended).toMatchObject({ status: null, signal: name });
});
