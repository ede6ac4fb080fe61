/** Exports as pure functions: shares convert back to the manifest's tokens, text is what parsers take, misreadings are refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { Manifest, ManifestDomain } from "../../src/manifest/contract.ts";
import { convertShares } from "../../src/manifest/export/components.ts";
import type { ExportRequest } from "../../src/manifest/export/exporter.ts";
import { exporterOf } from "../../src/manifest/export/stacks.ts";
import { yamlText } from "../../src/manifest/export/yaml.ts";
import type { MaterializedSet, OutputFormatName } from "../../src/manifest/materialized.ts";

const HASH = "0123456789abcdef".repeat(4);
const ENDINGS: Partial<Record<OutputFormatName, string[]>> = {
  megatron: [".bin", ".idx"],
  npy: [".npy"],
  datatrove: [".ds", ".ds.index"],
  mds: [".mds"],
  litdata: [".bin"],
  jsonl: [".jsonl.zst"],
  parquet: [".parquet"],
};

/** 4000 tokens asked and achieved: books 2 epochs of 10 documents, web half of 100; "ads" without weight. */
const DOMAINS = [
  { name: "books", documents: 10, tokens: 1000, selected: 20, achieved: 2000 },
  { name: "web", documents: 100, tokens: 4000, selected: 50, achieved: 2000 },
  { name: "ads", documents: 5, tokens: 50, selected: 0, achieved: 0 },
];

function domainOf({ name, documents, tokens, selected, achieved }: (typeof DOMAINS)[number]): ManifestDomain {
  const weight = achieved / 4000;
  return {
    name,
    documents,
    bytes: tokens * 4,
    tokens,
    meanTokensPerDocument: tokens / documents,
    heldOutDocuments: 1,
    units: tokens,
    weight,
    tokenWeight: weight,
    minShare: 0,
    targetWeight: weight,
    targetTokens: achieved,
    achievedTokens: achieved,
    achievedWeight: weight,
    selectedDocuments: selected,
    epochs: achieved / tokens,
    maxEpochs: null,
  };
}

const MANIFEST = {
  generator: "doremi@0.1.0",
  name: "test",
  seed: 7,
  tokenizer: { name: "r50k", source: "r50k", fingerprint: "f", vocabularySize: 50257 },
  columns: { text: "text", domain: null },
  transform: null,
  weightsFrom: "given",
  budgetTokens: 4000,
  achievedTokens: 4000,
  order: "mixed",
  domains: DOMAINS.map(domainOf),
  files: [
    { path: "books/a.jsonl", size: 9, sha256: HASH, format: "jsonl", rows: 10, rowGroups: [10], domain: "books" },
  ],
  selection: { path: "selection.parquet", sha256: HASH, rows: 3, documents: 70 },
} as unknown as Manifest;

function setOf(output: OutputFormatName, repeats: "written" | "once", change: Partial<MaterializedSet> = {}) {
  const ids = !["jsonl", "parquet"].includes(output);
  const groups = DOMAINS.slice(0, 2).map(({ name, documents, tokens, selected, achieved }) => {
    const totals = {
      documents: repeats === "written" ? selected : Math.min(documents, selected),
      tokens: repeats === "written" ? achieved : Math.min(tokens, achieved),
    };
    const separators = ids ? totals.documents : 0;
    const files = ENDINGS[output]!.map((ending) => ({ path: `${name}/part-00000${ending}`, size: 1, sha256: HASH }));
    return { domain: name, folder: name, ...totals, separators, shards: [{ ...totals, separators, files }] };
  });
  const sum = (of: (group: (typeof groups)[number]) => number) => groups.reduce((total, group) => total + of(group), 0);
  return {
    output,
    layout: "domain",
    repeats,
    tokenizer: { name: "r50k", fingerprint: "f", vocabularySize: 50257 },
    idBytes: ids ? 2 : null,
    separator: ids ? 50256 : null,
    documents: sum((group) => group.documents),
    tokens: sum((group) => group.tokens),
    separators: sum((group) => group.separators),
    groups,
    files: [],
    ...change,
  } as unknown as MaterializedSet;
}

function request(set: MaterializedSet | null, change: Partial<ExportRequest> = {}): ExportRequest {
  return {
    manifest: MANIFEST,
    manifestPath: "/m/manifest.json",
    root: "/corpus",
    target: "/out",
    data: set && { folder: "/data", set },
    sequenceLength: 512,
    leaveOut: [],
    manifestFile: { sha256: HASH, size: 10, time: "2026-01-01T00:00:00.000Z" },
    selectionSize: 20,
    ...change,
  };
}

const code = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "accepted";
};

describe("exports", () => {
  it("convert shares of tokens to any draw and back", () => {
    const domain = fc.record({
      share: fc.double({ min: 1e-6, max: 1, noNaN: true }),
      documents: fc.integer({ min: 1, max: 1e6 }),
      tokens: fc.integer({ min: 1, max: 1e9 }),
    });
    fc.assert(
      fc.property(fc.array(domain, { minLength: 1, maxLength: 20 }), (domains) => {
        const total = domains.reduce((sum, { share }) => sum + share, 0);
        const shares = domains.map(({ share }) => share / total);
        const drawn = convertShares(
          shares,
          domains.map((one) => ({ ...one, separators: 0 })),
          "document",
        );
        expect(drawn.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 12);
        const tokens = drawn.map((p, i) => (p * domains[i]!.tokens) / domains[i]!.documents);
        const all = tokens.reduce((sum, value) => sum + value, 0);
        for (const [i, value] of tokens.entries()) expect(value / all).toBeCloseTo(shares[i]!, 10);
      }),
    );
  });

  it("give Megatron-LM weights of ids, separators included", () => {
    const { files } = exporterOf("megatron").export(request(setOf("megatron", "written")));
    // 2000 + 20 and 2000 + 50 ids of 4070
    const [, books, web] = /^(\S+) \/data\/books\/part-00000\n(\S+) \/data\/web\/part-00000\n$/.exec(files[0]!.text)!;
    expect([Number(books), Number(web)]).toEqual([expect.closeTo(2020 / 4070, 12), expect.closeTo(2050 / 4070, 12)]);
  });

  it("give OLMo-core ratios and room to repeat", () => {
    const { files } = exporterOf("olmo-core").export(request(setOf("npy", "once")));
    const { source_list, requested_tokens } = parse(files[0]!.text);
    expect(requested_tokens).toBe(2020 + 2050);
    expect(source_list.sources.map((one: { target_ratio: number }) => one.target_ratio)).toEqual([
      expect.closeTo(2020 / 4070, 12),
      expect.closeTo(2050 / 4070, 12),
    ]);
    expect(source_list.sources[0].max_repetition_ratio).toBeCloseTo(2, 3);
  });

  it("give Hugging Face documents, from the manifest's own files too", () => {
    const { proportions } = exporterOf("datasets").export(request(null));
    // half the tokens each, at 100 and at 40 tokens a document
    expect(proportions).toEqual({ books: expect.closeTo(20 / 70, 12), web: expect.closeTo(50 / 70, 12) });
  });

  // Shares of ids, and of the text as a stack tokenizes it: a separator behind each of 20 and of 50 documents.
  const [BOOKS, WEB] = [expect.closeTo(2020 / 4070, 12), expect.closeTo(2050 / 4070, 12)];
  const parsed = (stack: string, set: MaterializedSet, index = 0) =>
    parse(exporterOf(stack).export(request(set)).files[index]!.text);

  it("give NeMo and Megatron Bridge the blend as a list of text", () => {
    const set = setOf("megatron", "written");
    const { paths, ...rest } = parsed("nemo", set);
    expect(paths.map(String)).toEqual(paths);
    expect(paths.filter((_: string, i: number) => i % 2 === 1)).toEqual([
      "/data/books/part-00000",
      "/data/web/part-00000",
    ]);
    expect([Number(paths[0]), Number(paths[2])]).toEqual([BOOKS, WEB]);
    expect(rest).toEqual({ split: "1,0,0", seq_length: 512, seed: 7 });
    const { dataset } = parsed("nemo", set, 1);
    const blend = [
      [paths[1], paths[3]],
      [BOOKS, WEB],
    ];
    expect(dataset).toEqual({ blend, split: "1,0,0", seq_length: 512, random_seed: 7 });
  });

  it("give MosaicML Streaming the manifest's numbers of documents", () => {
    for (const repeats of ["written", "once"] as const) {
      expect(parsed("streaming", setOf("mds", repeats))).toEqual({
        streams: { books: { local: "/data/books", choose: 20 }, web: { local: "/data/web", choose: 50 } },
        shuffle: true,
        shuffle_seed: 7,
      });
    }
  });

  it("give nanotron folders, weights of sequences and the tokenizer that the files name", () => {
    const [{ data, ...stage }] = parsed("nanotron", setOf("datatrove", "once")).data_stages;
    expect(stage).toEqual({ name: "test", start_training_step: 1, sequence_length: 512 });
    expect(data.dataset).toEqual({
      dataset_folder: ["/data/books", "/data/web"],
      dataset_weights: [BOOKS, WEB],
      tokenizer_name: "r50k",
      vocab_size: 50257,
      token_size_in_bytes: 2,
    });
    expect(data.seed).toBe(7);
  });

  it("give levanter the sources and weights of sequences, for both of its configurations", () => {
    const set = setOf("jsonl", "written");
    const format = { type: "text", text_key: "text" };
    const urls = (name: string) => ({ train_urls: [`/data/${name}/part-00000.jsonl.zst`] });
    const { components, ...rest } = parsed("levanter", set).data;
    expect(components).toEqual({
      books: { source: { type: "url", ...urls("books") }, format },
      web: { source: { type: "url", ...urls("web") }, format },
    });
    expect(rest).toEqual({
      tokenizer: "gpt2",
      cache_dir: "cache/",
      train_weights: { books: BOOKS, web: WEB },
      stop_strategy: "restart",
      mixture_block_size: 2048,
      shuffle: false,
    });
    expect(parsed("levanter", set, 1).data).toEqual({
      ...rest,
      configs: { books: { ...urls("books"), format }, web: { ...urls("web"), format } },
    });
  });

  it.each([
    ["torchtitan", "jsonl"],
    ["litgpt", "litdata"],
  ] as const)("give %s the weights of sequences as literals of Python", (stack, output) => {
    const { files } = exporterOf(stack).export(request(setOf(output, "written"), { leaveOut: ["ads"] }));
    const rows = [...files[0]!.text.matchAll(/^ {4}(\{.*\}),$/gm)].map(([, row]) => JSON.parse(row!));
    expect(rows).toMatchObject([
      { domain: "books", weight: BOOKS },
      { domain: "web", weight: WEB },
    ]);
  });

  it("describe the set in Croissant: files with their hashes, the mixture, and documents that lie beside it", () => {
    const set = setOf("parquet", "written");
    const describe = (folder: string) =>
      JSON.parse(exporterOf("croissant").export(request(set, { data: { folder, set } })).files[0]!.text);
    const { distribution, recordSet } = describe("/out/data");
    expect(distribution[2]).toMatchObject({
      "@type": "cr:FileObject",
      contentUrl: "../corpus/books/a.jsonl",
      contentSize: "9 B",
      encodingFormat: "application/jsonlines",
      sha256: HASH,
    });
    expect(recordSet.map((one: { "@id": string }) => one["@id"])).toEqual(["domains", "selection_rows", "documents"]);
    expect(recordSet[0].data[0]).toMatchObject({
      "domains/name": "books",
      "domains/achieved_weight": 0.5,
      "domains/tokens": 2000,
      "domains/documents": 20,
      "domains/epochs": 2,
    });
    expect(distribution.at(-1)).toMatchObject({
      "@type": "cr:FileSet",
      includes: ["data/books/part-00000.parquet", "data/web/part-00000.parquet"],
    });
    expect(describe("/elsewhere").recordSet).toHaveLength(2);
  });

  it("tell OpenLineage of one run, from the source files to the selection and the set", () => {
    const set = setOf("jsonl", "written");
    const { files } = exporterOf("openlineage").export(request(set));
    const [start, complete] = files[0]!.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect([start.eventType, complete.eventType]).toEqual(["START", "COMPLETE"]);
    expect(start.run.runId).toBe(complete.run.runId);
    expect(complete.run.runId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(complete.inputs.map((one: { name: string }) => one.name)).toEqual(["/corpus/books/a.jsonl"]);
    expect(complete.inputs[0].inputFacets.inputStatistics).toMatchObject({ rowCount: 10, size: 9, fileCount: 1 });
    expect(complete.outputs.map((one: { name: string }) => one.name)).toEqual([
      "/m/selection.parquet",
      "/data/books",
      "/data/web",
    ]);
    const column = (field: string, subtype: string) => ({
      inputFields: [
        { namespace: "file", name: "/corpus/books/a.jsonl", field, transformations: [{ type: "DIRECT", subtype }] },
      ],
    });
    expect(complete.outputs.map((one: { facets: Record<string, unknown> }) => one.facets.columnLineage)).toMatchObject([
      { fields: { tokens: column("text", "AGGREGATION") } },
      { fields: { text: column("text", "IDENTITY"), tokens: column("text", "TRANSFORMATION") } },
      { fields: { tokens: { inputFields: [] } } },
    ]);
    const several = {
      ...MANIFEST,
      columns: { text: "text", domain: "meta.set" },
      files: MANIFEST.files.map((file) => ({ ...file, domain: null })),
    };
    const inColumn = exporterOf("openlineage")
      .export(request(null, { manifest: several }))
      .files[0]!.text.split("\n");
    expect(JSON.parse(inColumn[1]!).outputs[0].facets.columnLineage.fields).toEqual({
      tokens: column("text", "AGGREGATION"),
      domain: column("meta.set", "TRANSFORMATION"),
    });
    expect(complete.outputs[2].outputFacets.outputStatistics).toMatchObject({ rowCount: 50, size: 1, fileCount: 1 });
  });

  it("refuse what a stack would misread", () => {
    const run = (stack: string, ask: ExportRequest) => code(() => exporterOf(stack).export(ask));
    const jsonl = setOf("jsonl", "written");
    expect(run("torchtitan", request(jsonl))).toBe("zero-weight");
    expect(run("torchtitan", request(jsonl, { leaveOut: ["ads"] }))).toBe("accepted");
    expect(run("torchtitan", request(jsonl, { leaveOut: ["ads", "web"] }))).toBe("weight-not-zero");
    expect(run("torchtitan", request(jsonl, { leaveOut: ["adz"] }))).toBe("unknown-domain");
    expect(run("megatron", request(null))).toBe("needs-data");
    expect(run("megatron", request(jsonl))).toBe("unreadable-format");
    const mega = setOf("megatron", "written");
    expect(run("megatron", request(mega, { data: { folder: "/a b", set: mega } }))).toBe("unusable-path");
    expect(run("megatron", request({ ...mega, tokens: 3999 }))).toBe("set-disagrees");
    const once = { ...setOf("npy", "once"), output: "litdata" as const };
    expect(run("litgpt", request(once))).toBe("needs-repeats");
    const mixed = { ...setOf("npy", "once"), layout: "mixed" as const };
    mixed.groups = mixed.groups.map((group) => ({ ...group, domain: null }));
    expect(run("olmo-core", request(mixed))).toBe("repeats-lost");
    expect(code(() => exporterOf("megatronn"))).toBe("unknown-stack");
  });

  it("write YAML that YAML 1.1 reads as it was meant", () => {
    const text = yamlText(["c"], { no: "1:30", small: 1e-7, off: "1e-7", m: "<<" });
    expect(text).toBe('# c\n"no": "1:30"\nsmall: 1.0e-7\n"off": "1e-7"\nm: "<<"\n');
  });
});
