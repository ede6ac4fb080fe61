import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { runPipeline } from "../../src/pipeline/run.ts";
import { smallPipeline, temporaryFolder } from "./small.ts";

vi.mock(import("../../src/pipeline/folder-lock.ts"), async (original) => {
  const real = await original();
  return {
    ...real,
    lockFolder: (folder, subject) => real.lockFolder(folder, subject, { heartbeatMs: 5, staleMs: 120_000 }),
  };
});

it("a run whose output folder another took over stops, and leaves the other's lock alone", async () => {
  const output = join(temporaryFolder(), "out");
  const lock = join(output, ".doremi", "lock.1");
  const run = runPipeline(smallPipeline(output), {
    onEvent(event) {
      if (event.type !== "start" || event.stage !== "tokenize") return;
      rmSync(lock); // the other's is another file, though it may have the same name
      writeFileSync(lock, "another's");
    },
  });
  await expect(run).rejects.toMatchObject({ code: "lock-lost", kind: "interrupted", exitStatus: 75, file: output });
  expect(existsSync(join(output, "count"))).toBe(true);
  expect(existsSync(join(output, "proxy"))).toBe(false);
  expect(readFileSync(lock, "utf8")).toBe("another's");
});
