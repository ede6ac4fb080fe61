/** The small corpus in test/files, with settings that train in a second, and a folder of its own for each test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { z } from "zod";
import { definePipeline, type Pipeline } from "../../src/pipeline/load.ts";
import type { pipelineSchema } from "../../src/pipeline/schema.ts";

export const FILES = fileURLToPath(new URL("../files", import.meta.url));
export const CORPUS = join(FILES, "corpus");
export const TOKENIZER = fileURLToPath(new URL("../../pipelines/quickstart/tokenizer-4096.json", import.meta.url));

type PipelineInput = z.input<typeof pipelineSchema>;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "doremi-e2e-"));
  folders.push(folder);
  return folder;
}

/** Each setting given replaces the whole of its section. */
export function smallPipeline(output: string, overrides: Partial<PipelineInput> = {}): Pipeline {
  return definePipeline(
    {
      version: 1,
      name: "small",
      output,
      seed: 1,
      workers: 2,
      tokenizer: TOKENIZER,
      data: { files: join(CORPUS, "folders/{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } },
      count: { tokenizers: ["r50k"] },
      train: smallTraining(),
      resample: { budgetTokens: 60_000, maxEpochs: 4 },
      ...overrides,
    },
    { output },
  );
}

export function smallTraining(proxy: Record<string, unknown> = {}): NonNullable<PipelineInput["train"]> {
  return {
    model: { layers: 1, width: 16, heads: 2, sequenceLength: 32 },
    batchSize: 4,
    threads: 1,
    checkpointEvery: 5,
    evaluationSequences: 4,
    reference: { steps: 12 },
    proxy: { steps: 12, ...proxy },
  };
}
