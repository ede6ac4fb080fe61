/**
 * The training stacks that install quickly read what doremi writes of the small corpus, with their own code. They run
 * where DOREMI_CONSUMERS names the folder that scripts/consumers-venv.mjs filled; with DOREMI_REQUIRE_CONSUMERS=1 a
 * missing one is a failure. The others: npm run test:consumers.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runPipeline } from "../../src/pipeline/run.ts";
import { WorkerPool } from "../../src/stages/pool.ts";
import { smallPipeline } from "../e2e/small.ts";
import { expectationOf } from "./expectation.ts";
import { python, readExport, readSet, type Subject } from "./reading.ts";
import { EXPORT_READERS, SET_READERS } from "./stacks.ts";

const there = python("light") !== null;
const required = process.env.DOREMI_REQUIRE_CONSUMERS === "1";
const title = there || required ? "" : " (skipped: DOREMI_CONSUMERS names no folder of scripts/consumers-venv.mjs)";

describe.skipIf(!there && !required)(`stacks of Python${title}`, { timeout: 180_000 }, () => {
  let subject: Subject;

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), "doremi-consumers-"));
    const pipeline = smallPipeline(join(folder, "out"), {
      resample: { weights: { csource: 0.2, factbook: 0.2, math: 0.6 }, budgetTokens: 60_000, maxEpochs: 4 },
    });
    const pool = new WorkerPool({ workers: 2 });
    const manifest = (await runPipeline(pipeline, { until: "resample" })).paths.manifest!;
    subject = { manifest, folder, pool, expectation: await expectationOf(manifest), timeoutMs: 170_000 };
  });
  afterAll(async () => {
    await subject?.pool.close();
    if (subject) rmSync(subject.folder, { recursive: true });
  });

  describe.each(SET_READERS.filter(({ environment }) => environment === "light"))("$script", (reader) => {
    it.each(["mixed", "domain"] as const)("reads every document, in a set laid out %s", async (layout) => {
      const { disagreements, read } = await readSet(subject, reader, layout);
      expect(disagreements).toEqual([]);
      expect(read.documents).toBe(subject.expectation.documents);
    });
  });

  it.each(EXPORT_READERS.filter(({ environment }) => environment === "light"))(
    "$script reads the weights of an export to $stack in $unit, of a set in $format",
    async (reader) => {
      expect((await readExport(subject, reader)).disagreements).toEqual([]);
    },
  );
});
