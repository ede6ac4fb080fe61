/** The whole way over a larger corpus in many layouts, where it lies beside the repository. A token is a byte here. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { ColumnSelection } from "../../src/formats/shard.ts";
import { indexDocuments } from "../../src/manifest/document-index.ts";
import { planResample } from "../../src/manifest/plan.ts";
import { readManifest } from "../../src/manifest/read.ts";
import { selectDocuments } from "../../src/manifest/select.ts";
import { verifyManifest } from "../../src/manifest/verify.ts";
import { writeResampledSet } from "../../src/manifest/write.ts";
import { countBytes } from "./corpus.ts";
import { FILE_ORDER } from "./resample.ts";

const corpus = resolve(process.env.DOREMI_SHARED ?? "../shared", "corpus");
const there = existsSync(join(corpus, "golden.json"));

describe.skipIf(!there)(`the corpus in ${corpus}${there ? "" : " (left out: it is not there)"}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "doremi-corpus-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ["a folder per domain", "folders"],
    ["the domain in a nested column", "mixed"],
  ] as const)("%s: counts, selection, verification, documents", async (_, layout) => {
    const golden = JSON.parse(readFileSync(join(corpus, "golden.json"), "utf8"));
    const mixed = layout === "mixed";
    const expected: Record<string, { documents: number; bytes: number }> = mixed
      ? golden.mixed.domains
      : Object.fromEntries(
          Object.entries(golden.domains).map(([name, domain]) => [name, (domain as { train: never }).train]),
        );
    const names = Object.keys(expected);
    const columns: ColumnSelection = mixed ? { text: "text", domain: "meta.pile_set_name" } : { text: "text" };
    const paths = (mixed ? ["mixed"] : names).flatMap((name) =>
      shardsOf(name).map((path) => [path, mixed ? null : name] as const),
    );
    const heldOut = { kind: "fraction", fraction: 0.02, minDocuments: 3 } as const;
    const countAll = async function* () {
      for (const [path, domain] of paths) yield await countBytes(corpus, path, columns, names, domain);
    };

    const index = await indexDocuments({ counts: countAll, domains: names, heldOut, seed: 1 });
    for (const domain of index.domains) expect(domain.allDocuments).toBe(expected[domain.name]!.documents);
    const plan = planResample({
      names,
      weights: names.map(() => 1 / names.length),
      availableTokens: index.domains.map((domain) => domain.tokens),
      budgetTokens: "auto",
      maxEpochs: 4,
    });
    const targets = plan.domains.map((domain) => domain.targetTokens);
    const path = join(folder, layout, "manifest.json");
    const manifest = await writeResampledSet(join(folder, layout), {
      header: {
        generator: "doremi@0.0.0",
        name: layout,
        seed: 1,
        tokenizer: { name: "bytes", source: "bytes", fingerprint: "f", vocabularySize: 256 },
        columns: { text: "text", domain: columns.domain ?? null },
        transform: null,
        heldOut,
        weightsFrom: "given",
        root: ".",
        notes: [],
      },
      index,
      plan,
      selection: selectDocuments(index, targets, 1, FILE_ORDER),
    });

    const result = await verifyManifest(path, { root: corpus, recount: countAll });
    expect(result.problems).toEqual([]);

    let documents = 0;
    let bytes = 0;
    for await (const document of readManifest(path, { root: corpus, shardIndex: 1, numShards: 4 })) {
      documents += 1;
      bytes += document.text.length;
    }
    const selected = manifest.domains.reduce((sum, domain) => sum + domain.selectedDocuments, 0);
    expect(Math.abs(documents - selected / 4)).toBeLessThan(5 * names.length); // one a domain and epoch
    expect(bytes / manifest.achievedTokens).toBeCloseTo(0.25, 1);
  });
});

function shardsOf(folder: string): string[] {
  return readdirSync(join(corpus, folder))
    .sort()
    .filter((name) => name.startsWith("part-"))
    .map((name) => `${folder}/${name}`);
}
