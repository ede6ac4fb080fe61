/** Clocks that were wrong: shards and files of ours with times hours ahead, or long ago, are what they were. */
import { cpSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { runPipeline } from "../../src/pipeline/run.ts";
import { verify } from "../../src/pipeline/verify.ts";
import { CORPUS, smallPipeline, temporaryFolder } from "./small.ts";

const HOURS_MS = 3_600_000;

function setTimes(folder: string, time: number): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) utimesSync(join(entry.parentPath, entry.name), time / 1000, time / 1000);
  }
}

it("a clock that jumps during a run, and files of the future, change nothing", async () => {
  const folder = temporaryFolder();
  const data = join(folder, "data");
  cpSync(join(CORPUS, "folders"), data, { recursive: true });
  setTimes(data, Date.now() + 5 * HOURS_MS);
  const output = join(folder, "out");
  const pipeline = smallPipeline(output, {
    data: { files: join(data, "{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } },
    cache: false,
  });
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    let ahead = 1;
    const result = await runPipeline(pipeline, {
      onEvent: ({ type }) => {
        if (type !== "start" && type !== "done") return;
        ahead *= -2;
        vi.setSystemTime(Date.now() + ahead * HOURS_MS);
      },
    });
    expect(await verify(result.paths.manifest!)).toMatchObject({ ok: true });
  } finally {
    vi.useRealTimers();
  }
  for (const time of [Date.now() + 48 * HOURS_MS, 0]) {
    setTimes(output, time);
    expect((await runPipeline(pipeline)).status).toBe("unchanged");
  }
  // Other times alone are no other shards: all counts are taken over.
  setTimes(data, Date.now() - 5 * HOURS_MS);
  const again = await runPipeline(pipeline);
  expect(again.stages.filter(({ status }) => status === "done").map(({ stage }) => stage)).toEqual([
    "discover",
    "count",
  ]);
});
