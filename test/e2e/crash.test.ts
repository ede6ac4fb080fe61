/** Runs that are cut off: a few of the kills of `npm run test:crash`, and a worker that dies alone. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runPipeline } from "../../src/pipeline/run.ts";
import { crash } from "../crash/crash.ts";
import { CORPUS, smallPipeline, temporaryFolder } from "./small.ts";

it("a run that is killed ten times at random moments ends in the bytes of one that is not", {
  timeout: 300_000,
}, async () => {
  const { kills, lives, faults } = await crash({
    folder: join(temporaryFolder(), "crash"),
    kills: 10,
    seed: 3,
    polite: 0.2,
    log: () => {},
  });
  expect(faults).toEqual([]);
  expect(lives).toBeGreaterThan(0);
  const met = Object.values(kills).flatMap((bySignal) => Object.values(bySignal));
  expect(met.reduce((sum, n) => sum + n, 0)).toBe(10);
});

it("a worker that dies alone, as of memory, stops the run with a remedy, and the next run counts on", async () => {
  const folder = temporaryFolder();
  const [fuse, module] = [join(folder, "fuse"), join(folder, "transform.mjs")];
  // In a worker, process.exit ends the thread, as running out of memory does.
  writeFileSync(
    module,
    `import { existsSync } from "node:fs";
    export default (batch) => (existsSync(${JSON.stringify(fuse)}) ? process.exit(9) : batch);`,
  );
  const data = { files: join(CORPUS, "folders/{domain}/part-*"), transform: { module } };
  const run = (output: string) =>
    runPipeline(smallPipeline(join(folder, output), { data, cache: false }), { until: "count" });
  writeFileSync(fuse, "");
  await expect(run("out")).rejects.toMatchObject({
    code: "worker-died",
    exitStatus: 70,
    message: expect.stringMatching(/ended before its task did .*lower `workers` or `memory`/),
  });
  rmSync(fuse);
  await run("out");
  await run("whole");
  const counts = (output: string) => readFileSync(join(folder, output, "count/counts.json"), "utf8");
  expect(counts("out")).toBe(counts("whole"));
});
