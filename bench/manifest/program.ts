/**
 * One measurement, in a process of its own, so that its memory is its own. Prints a line of JSON.
 *
 *   program.ts FOLDER document|row-group|verify
 *
 * FOLDER holds input.json and the folder of counting, `count`; a manifest goes into `PART` beside it.
 */
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadManifest } from "../../src/manifest/load.ts";
import { ProblemList } from "../../src/manifest/problems.ts";
import { Recounted } from "../../src/manifest/recounted.ts";
import { checkSelection } from "../../src/manifest/verify-selection.ts";
import { MANIFEST_NAME, SELECTION_NAME } from "../../src/manifest/write.ts";
import { WorkerPool } from "../../src/stages/pool.ts";
import { type ResampleInput, resampleInput } from "../../src/stages/resample/contract.ts";
import { indexCounts, resample } from "../../src/stages/resample/run.ts";
import type { StageContext } from "../../src/stages/stage.ts";
import type { CountedCorpus } from "./corpus.ts";
import type { Part } from "./options.ts";

export interface Figures {
  readonly seconds: number;
  /** user and system time of all threads */
  readonly cpuSeconds: number;
  /** rows of selection.parquet, and the documents in them */
  readonly rows: number;
  readonly documents: number;
  readonly selectionBytes: number;
  readonly manifestBytes: number;
  readonly sha256: string;
}

/** `input.json`. */
export interface Measured {
  readonly corpus: CountedCorpus;
  readonly budgetTokens: number;
}

/** @throws Error where verification finds a fault; DoremiError */
export async function measurePart(folder: string, part: Part): Promise<Figures> {
  const { corpus, budgetTokens }: Measured = JSON.parse(await readFile(join(folder, "input.json"), "utf8"));
  const input: ResampleInput = resampleInput.parse({
    ...corpus,
    budgetTokens,
    heldOut: part === "row-group" ? { kind: "none" } : { kind: "fraction", fraction: 0.01, minDocuments: 4 },
    selection:
      part === "row-group"
        ? { granularity: "row-group", order: "mixed", shuffle: "row-group" }
        : { granularity: "document", order: "mixed", shuffle: "document" },
  });
  const out = join(folder, part === "verify" ? "document" : part);
  const started = performance.now();
  const cpu = process.cpuUsage();
  if (part === "verify") await check(out, input, join(folder, "count"));
  else await make(out, input, join(folder, "count"));
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const { selection } = await loadManifest(join(out, MANIFEST_NAME));
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    rows: selection.rows,
    documents: selection.documents,
    selectionBytes: (await stat(join(out, SELECTION_NAME))).size,
    manifestBytes: (await stat(join(out, MANIFEST_NAME))).size,
    sha256: selection.sha256,
  };
}

async function make(out: string, input: ResampleInput, counts: string): Promise<void> {
  await mkdir(out, { recursive: true });
  const pool = new WorkerPool({ workers: 1 });
  const context: StageContext = {
    folder: out,
    previous: undefined,
    folderOf: () => counts,
    seed: input.seed,
    signal: new AbortController().signal,
    training: undefined as never, // of no use to this stage
    pool,
    emit: () => {},
  };
  try {
    await resample.run(input, context);
  } finally {
    await pool.close();
  }
}

/** What verification does once the files have been counted anew. @throws Error where it finds a fault */
async function check(out: string, input: ResampleInput, counts: string): Promise<void> {
  const path = join(out, MANIFEST_NAME);
  const manifest = await loadManifest(path);
  const index = await indexCounts({ ...input, tokenizer: input.tokenizer.name }, counts);
  const problems = new ProblemList();
  const recounted = new Recounted(index, [...manifest.files.keys()], manifest);
  const { reproduced } = await checkSelection(path, manifest, recounted, problems);
  const [first] = problems.shown;
  if (first || !reproduced)
    throw new Error(`verification found: ${first?.message ?? "rows that the seed does not give"}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, part] = process.argv.slice(2) as [string, Part];
  process.stdout.write(`${JSON.stringify(await measurePart(folder, part))}\n`);
}
