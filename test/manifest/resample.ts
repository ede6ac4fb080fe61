/** Makes a resampled set of the test corpus, and tampers with one. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HeldOutRule, Manifest, SelectionRow } from "../../src/manifest/contract.ts";
import { indexDocuments } from "../../src/manifest/document-index.ts";
import { planResample } from "../../src/manifest/plan.ts";
import { type SelectionSettings, selectDocuments } from "../../src/manifest/select.ts";
import { readSelection, writeSelection } from "../../src/manifest/selection-file.ts";
import { writeManifest, writeResampledSet } from "../../src/manifest/write.ts";
import { countCorpus, DOMAINS } from "./corpus.ts";

export interface Setting {
  readonly seed?: number;
  readonly heldOut?: HeldOutRule;
  readonly budgetTokens?: number | "auto";
  readonly weights?: readonly number[];
  readonly selection?: SelectionSettings;
}

/** Domain after domain, files and rows as they lie. */
export const FILE_ORDER: SelectionSettings = { granularity: "document", order: "domain", shuffle: "none" };

/** @param corpus folder of the files  @param folder where the manifest goes; `root` leads from there to the corpus */
export async function resample(corpus: string, folder: string, root: string, setting: Setting = {}): Promise<Manifest> {
  const { seed = 7, budgetTokens = 3000, weights = [0.3, 0.5, 0.2, 0] } = setting;
  const heldOut = setting.heldOut ?? { kind: "fraction", fraction: 0.1, minDocuments: 2 };
  const index = await indexDocuments({ counts: countCorpus(corpus), domains: DOMAINS, heldOut, seed });
  const plan = planResample({
    names: DOMAINS,
    weights,
    availableTokens: index.domains.map((domain) => domain.tokens),
    budgetTokens,
    maxEpochs: 3,
  });
  const selection = selectDocuments(
    index,
    plan.domains.map((domain) => domain.targetTokens),
    seed,
    setting.selection ?? FILE_ORDER,
  );
  return writeResampledSet(folder, {
    header: {
      generator: "doremi@0.0.0",
      name: "test",
      seed,
      tokenizer: { name: "words", source: "words.json", fingerprint: "f", vocabularySize: 10 },
      columns: { text: "text", domain: "domain" },
      transform: null,
      heldOut,
      weightsFrom: "given",
      root,
      notes: [],
    },
    index,
    plan,
    selection,
  });
}

/** Deeply writable and unchecked, for tests that break it. */
// biome-ignore lint/suspicious/noExplicitAny: the point is to write what the types forbid
export type Loose = any;

/** Changes the manifest on the disk. */
export async function tamper(path: string, change: (manifest: Loose) => void): Promise<void> {
  const manifest = JSON.parse(await readFile(path, "utf8"));
  change(manifest);
  await writeFile(path, JSON.stringify(manifest));
}

/** Rewrites the selection, and its hash and row count in the manifest, so that only the rows disagree. */
export async function tamperSelection(folder: string, change: (rows: SelectionRow[]) => SelectionRow[]): Promise<void> {
  const path = join(folder, "selection.parquet");
  const rows: SelectionRow[] = [];
  for await (const chunk of readSelection(path)) rows.push(...chunk);
  const written = await writeSelection(path, change(rows));
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as Manifest;
  await writeManifest(join(folder, "manifest.json"), { ...manifest, selection: { ...manifest.selection, ...written } });
}
