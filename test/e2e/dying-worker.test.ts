/** A worker that really runs out of memory: V8's limit reached in a transform. The process that died of it is the worker's thread alone. */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { pipelineFile, start } from "./program.ts";
import { temporaryFolder } from "./small.ts";

it("a worker whose heap is full stops the run with a remedy, and the next run counts on", async () => {
  const folder = temporaryFolder();
  const fuse = join(folder, "fuse");
  writeFileSync(fuse, "");
  const { file, output } = pipelineFile(folder, "full", {
    transform: `const kept = []; while (existsSync(${JSON.stringify(fuse)})) kept.push(Array.from({ length: 1000 }, (_, i) => ({ i }))); return batch;`,
  });
  const { status, result } = await start(["run", file], { NODE_OPTIONS: "--max-old-space-size=128" }).ended;
  expect(status).toBe(70);
  expect(result.error).toMatchObject({
    code: "worker-died",
    message: expect.stringMatching(/memory limit.*lower `workers` or `memory`/),
  });
  expect(readdirSync(output).sort()).toEqual([".doremi", "discover"]);
  rmSync(fuse);
  expect((await start(["run", file]).ended).status).toBe(0);
});
