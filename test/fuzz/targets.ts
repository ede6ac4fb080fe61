/**
 * What is fuzzed: each reader of files that others may have written, with sound files to begin from and how they are
 * changed. A target reads what a user's command would; what it throws must be a failure of a user's kind.
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { ZstdEncoder } from "../../src/formats/codecs/zstd-encoder.ts";
import { openSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import type { ReadLimits } from "../../src/formats/shard.ts";
import { openTokenStore, TokenStoreWriter } from "../../src/formats/token-store.ts";
import { DoremiError, toPlainError } from "../../src/lib/errors.ts";
import { canonicalJson, sha256, sha256Json } from "../../src/lib/hash.ts";
import { readJsonLines } from "../../src/lib/json-lines.ts";
import type { ManifestFile } from "../../src/manifest/contract.ts";
import { loadMaterialized } from "../../src/manifest/materialized.ts";
import { type ReadManifestOptions, readManifest } from "../../src/manifest/read.ts";
import { readStoredUnit } from "../../src/manifest/source-shard.ts";
import { verifyManifest } from "../../src/manifest/verify.ts";
import { matchWeights, parseWeightsFile, parseWeightsTable } from "../../src/mixture/weights.ts";
import { parsePipeline } from "../../src/pipeline/load.ts";
import { OutputFolder } from "../../src/pipeline/output-folder.ts";
import { readCountsFile, writeCountsFile } from "../../src/stages/count/counts-file.ts";
import { KeptCounts } from "../../src/stages/count/kept.ts";
import { openRecording } from "../../src/stages/trace-read.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import { CheckpointFiles } from "../../src/trainer/checkpoint-files.ts";
import { loadModel } from "../../src/trainer/model-folder.ts";
import { readAll } from "../formats/reading.ts";
import { recount, writeCorpus } from "../manifest/corpus.ts";
import { resample } from "../manifest/resample.ts";
import { readGolden } from "../mixture/golden.ts";
import { type GoldenInputs, recordedProxy, recordsOf, writeRun } from "../stages/recorded.ts";
import {
  type Draws,
  ESCAPES,
  type Mutate,
  mutateBytes,
  mutateEnds,
  mutateJson,
  mutateText,
  mutateValue,
} from "./mutate.ts";

export interface Target {
  readonly name: string;
  /** Sound inputs. @param folder empty, the target's own until `run` is done for the last time */
  seeds(folder: string): Promise<readonly Buffer[]>;
  readonly mutate: Mutate;
  /** Reads the input. @param folder the same */
  run(input: Buffer, folder: string): Promise<void>;
}

/** Low, so that a claim above them is met soon, and one below them takes little. */
export const LIMITS: Partial<ReadLimits> = {
  maxPageBytes: 32 << 20,
  maxLineBytes: 4 << 20,
  maxMetadataBytes: 8 << 20,
};

const FORMATS = "test/files/formats";
const COLUMNS = { text: "text", domain: "domain" };

/** @throws what of a failure is no user's: anything that is not a DoremiError or of the file system, or is internal */
export async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const isOurs = error instanceof DoremiError || (error instanceof Error && "syscall" in error);
    if (!isOurs || toPlainError(error).kind === "internal") throw error;
  }
}

const goldenFiles = async (pattern: RegExp) => {
  const names = (await readdir(FORMATS)).filter((name) => pattern.test(name) && !/bomb|huge/.test(name));
  const files = await Promise.all(names.sort().map((name) => readFile(join(FORMATS, name))));
  return files.filter(({ length }) => length > 0 && length < 60_000);
};

/** A shard, under every name that it might have. */
function shard(name: string, extension: string, seeds: Target["seeds"], mutate: Mutate): Target {
  return {
    name,
    seeds,
    mutate,
    async run(input, folder) {
      const path = join(folder, `shard.${extension}`);
      await writeFile(path, input);
      await attempt(() => readAll(path, COLUMNS, LIMITS, "owned"));
      await attempt(() => readAll(path, { text: "text" }, { ...LIMITS, batchBytes: 500 }, "lent"));
      await attempt(() => readAll(path, { text: "text", extra: ["id"] }, LIMITS));
    },
  };
}

const jsonLines = () => goldenFiles(/^jl-.*\.jsonl$/);

async function zstd(data: Buffer): Promise<Buffer> {
  const encoder = await ZstdEncoder.open();
  return Buffer.concat([...encoder.write(data), ...encoder.end()]);
}

/** Small ones of every model: byte-level BPE, BPE with byte fallback, Unigram, WordPiece, WordLevel. */
async function tokenizers(): Promise<Buffer[]> {
  const files = "test/files/tokenizer";
  const fallback = JSON.parse(await readFile(join(files, "byte-fallback.json"), "utf8"));
  const small = JSON.parse(await readFile("pipelines/quickstart/tokenizer-4096.json", "utf8"));
  const vocabulary = Object.entries(small.model.vocab as Record<string, number>).sort((a, b) => a[1] - b[1]);
  small.model.vocab = Object.fromEntries(vocabulary.slice(0, 400));
  const known = new Set(Object.keys(small.model.vocab));
  small.model.merges = (small.model.merges as (string | [string, string])[]).filter((merge) => {
    const [left, right] = typeof merge === "string" ? merge.split(" ") : merge;
    return known.has(`${left}${right}`);
  });
  small.added_tokens = [];
  const words = ["[UNK]", "[CLS]", ..."abcdefghij", ..."abcdefghij".split("").map((letter) => `##${letter}`)];
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const base = { version: "1.0", added_tokens: [], normalizer: null, post_processor: null, decoder: null };
  const whitespace = { type: "Whitespace" };
  const bert = {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  };
  const all = [
    fallback,
    small,
    {
      ...base,
      normalizer: bert,
      pre_tokenizer: { type: "BertPreTokenizer" },
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab,
      },
    },
    { ...base, pre_tokenizer: whitespace, model: { type: "WordLevel", unk_token: "[UNK]", vocab } },
    {
      ...base,
      normalizer: {
        type: "Sequence",
        normalizers: [{ type: "NFKC" }, { type: "Replace", pattern: { Regex: " {2,}" }, content: " " }],
      },
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      model: {
        type: "Unigram",
        unk_id: 0,
        byte_fallback: false,
        vocab: words.map((word, id) => [word.replace("##", "▁"), -id]),
      },
    },
    {
      ...small,
      added_tokens: [
        {
          id: 400,
          content: "<|end|>",
          single_word: false,
          lstrip: true,
          rstrip: false,
          normalized: false,
          special: true,
        },
      ],
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          {
            type: "Split",
            pattern: { Regex: "\\p{N}{1,3}|[^\\s\\p{L}]+|(?i:'s)|\\s+(?!\\S)" },
            behavior: "Isolated",
            invert: false,
          },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
        ],
      },
    },
  ];
  return all.map((json) => Buffer.from(JSON.stringify(json)));
}

/** A length of 8 bytes before the header, and what follows it. */
function mutateSafetensors(draws: Draws, input: Buffer, others: readonly Buffer[]): Buffer {
  if (draws.below(3) === 0) return mutateEnds(draws, input, others);
  const length = Number(input.readBigUInt64LE());
  const header = mutateJson(draws, input.subarray(8, 8 + length), others);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([prefix, header, input.subarray(8 + length)]);
}

const MODELS = "test/files/trainer";
const DEMANDS = { vocabularySize: 61, sequenceLength: 12 };

/** Two files of one input: the length of the first, and both. */
function joined(first: Buffer, second: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(first.length);
  return Buffer.concat([length, first, second]);
}

function parted(input: Buffer): [Buffer, Buffer] {
  const end = 4 + input.readUInt32LE();
  return [input.subarray(4, end), input.subarray(end)];
}

const inBoth =
  (first: Mutate, second: Mutate): Mutate =>
  (draws, input, others) => {
    const [a, b] = parted(input);
    const rest = others.map(parted);
    const which = draws.below(3);
    const changed =
      which === 1
        ? a
        : first(
            draws,
            a,
            rest.map(([other]) => other),
          );
    return joined(
      changed,
      which === 0
        ? b
        : second(
            draws,
            b,
            rest.map(([, other]) => other),
          ),
    );
  };

const manifestCorpus = (folder: string) => join(folder, "corpus");
const manifestOut = (folder: string) => join(folder, "out", "run");

/** The record with the checksum of itself, as whoever can change it can make it. */
const resealed = (draws: Draws, input: Buffer): Buffer => {
  const { sha256: _, ...record } = JSON.parse(input.toString("utf8"));
  const changed = mutateValue(draws, record) as Record<string, unknown>;
  if (changed === null || typeof changed !== "object" || draws.below(8) === 0) return mutateJson(draws, input);
  return Buffer.from(canonicalJson({ ...changed, sha256: sha256Json(changed) }));
};

const PIPELINES = [
  "pipelines/quickstart.yaml",
  "pipelines/pile.yaml",
  "pipelines/redpajama.yaml",
  "pipelines/evidence.yaml",
];

/** Every kind of setting that the published pipelines leave out. */
const LONG_PIPELINE = `version: 1
name: long
output: out
seed: 3
data:
  domains: &d
    web: { files: [web/*.parquet] }
    books: books/*.jsonl
  textColumn: doc.text
  domainMap: { a: web }
  onUnlistedDomain: { domain: other }
  onBadShard: skip
  transform: { module: ./drop.mjs, columns: [score], options: { least: 10 } }
tokenizer: r50k
resample: { budget: 100M, maxEpochs: { web: 4, books: 2 } }
`;

export const targets: readonly Target[] = [
  shard("parquet", "parquet", () => goldenFiles(/^pq-.*\.parquet$/), mutateEnds),
  shard("arrow", "arrow", () => goldenFiles(/^ar-.*\.(arrow|arrows|feather)$/), mutateEnds),
  shard("jsonl", "jsonl", jsonLines, mutateText),
  shard("jsonl-gz", "jsonl.gz", jsonLines, (draws, input, others) =>
    draws.below(2) ? gzipSync(mutateText(draws, input, others)) : mutateBytes(draws, gzipSync(input)),
  ),
  shard("jsonl-zst", "jsonl.zst", async () => Promise.all((await jsonLines()).map(zstd)), mutateBytes),
  {
    name: "tokenizer",
    seeds: tokenizers,
    mutate: mutateJson,
    async run(input, folder) {
      const path = join(folder, "tokenizer.json");
      await writeFile(path, input);
      for (const specialTokens of ["text", "parse"] as const) {
        await attempt(async () => {
          const tokenizer = await openTokenizer(await resolveTokenizer(path, "/", specialTokens));
          for (const text of ["abc  def ghi\n\n", "Ünïcödé 語 <|end|> 🎉 's 12345", "a".repeat(3000), ""]) {
            const bytes = Buffer.from(text);
            tokenizer.encode(bytes);
            const counts = new Uint32Array(1);
            tokenizer.count(bytes, Uint32Array.of(0, bytes.length), counts);
          }
        });
      }
    },
  },
  {
    name: "safetensors",
    async seeds(folder) {
      const path = join(folder, "seed.safetensors");
      const tensors = { a: { shape: [2, 3], data: new Float32Array(6) }, b: { shape: [], data: new Float32Array(1) } };
      await writeSafetensors(path, tensors, { format: "pt" });
      return [await readFile(path)];
    },
    mutate: mutateSafetensors,
    async run(input, folder) {
      const path = join(folder, "model.safetensors");
      await writeFile(path, input);
      await attempt(async () => {
        await using file = await openSafetensors(path);
        for (const name of file.tensors.keys()) await attempt(() => file.readFloat32(name));
      });
    },
  },
  {
    name: "model",
    seeds: () =>
      Promise.all(
        ["gpt2", "gpt2-untied", "llama", "llama-untied"].map(async (name) =>
          joined(
            await readFile(join(MODELS, name, "config.json")),
            await readFile(join(MODELS, name, "model.safetensors")),
          ),
        ),
      ),
    mutate: inBoth(mutateJson, mutateSafetensors),
    async run(input, folder) {
      const [config, tensors] = parted(input);
      await writeFile(join(folder, "config.json"), config);
      await writeFile(join(folder, "model.safetensors"), tensors);
      await attempt(() => loadModel(folder));
      await attempt(() => loadModel(folder, DEMANDS));
    },
  },
  {
    name: "manifest",
    async seeds(folder) {
      await writeCorpus(manifestCorpus(folder));
      await resample(manifestCorpus(folder), manifestOut(folder), "../../corpus", {
        selection: { granularity: "document", order: "mixed", shuffle: "document" },
      });
      const file = (name: string) => readFile(join(manifestOut(folder), name));
      return [joined(await file("manifest.json"), await file("selection.parquet"))];
    },
    mutate: inBoth(mutateJson, mutateEnds),
    async run(input, folder) {
      const [manifest, selection] = parted(input);
      const root = manifestCorpus(folder);
      const path = join(manifestOut(folder), "manifest.json");
      let text = manifest;
      try {
        // Of a selection that was changed, the hash as whoever changed it would say.
        const json = JSON.parse(manifest.toString("utf8"));
        json.selection.sha256 = sha256(selection);
        text = Buffer.from(JSON.stringify(json));
      } catch {}
      await writeFile(path, text);
      await writeFile(join(manifestOut(folder), "selection.parquet"), selection);
      const opened: string[] = [];
      const counted = (files: readonly ManifestFile[]) => {
        for (const file of files) opened.push(join(root, file.path));
        return recount(root, files);
      };
      const readUnit: ReadManifestOptions["readUnit"] = (request) => {
        opened.push(request.path);
        return readStoredUnit(request);
      };
      await attempt(() => verifyManifest(path, { recount: counted }));
      await attempt(async () => {
        let documents = 0;
        for await (const _ of readManifest(path, { readUnit, windowBytes: 999 })) if (++documents === 300) break;
      });
      const outside = opened.find((file) => !file.startsWith(root + sep));
      if (outside !== undefined) throw new Error(`opened ${outside}, which is outside ${root}`);
    },
  },
  {
    name: "checkpoint",
    async seeds(folder) {
      const store = new CheckpointFiles({ folder, keep: 1 }, { steps: 9 });
      const tensors = { a: { shape: [2], data: Float32Array.of(1, 2) }, b: { shape: [], data: Float32Array.of(3) } };
      await store.save({ step: 3, tensors, state: { average: [0.1, 0.9], nested: { a: null } } });
      await store.idle();
      const file = (name: string) => readFile(join(folder, name));
      return [joined(await file("step-3.json"), await file("step-3.safetensors"))];
    },
    mutate: inBoth(resealed, mutateSafetensors),
    async run(input, folder) {
      const [json, tensors] = parted(input);
      await writeFile(join(folder, "step-3.json"), json);
      await writeFile(join(folder, "step-3.safetensors"), tensors);
      await attempt(() => new CheckpointFiles({ folder, keep: 1 }, { steps: 9 }).load());
    },
  },
  {
    name: "counts",
    async seeds(folder) {
      const unit = {
        rows: 5,
        domain: Int32Array.of(0, 1, -1, -2, 0),
        bytes: Uint32Array.of(1, 2, 0, 4, 5),
        tokens: [Uint32Array.of(1, 1, 0, 2, 3)],
      };
      await writeCountsFile(join(folder, "00000.counts.arrow"), [unit, unit], ["web", "books"], ["r50k"]);
      const counts = await readFile(join(folder, "00000.counts.arrow"));
      const header = {
        doremi: "kept counts",
        version: 2,
        profile: "p",
        tokenizers: [{ name: "r50k", fingerprint: "f" }],
        counts: { path: "00000.counts.arrow", sha256: sha256(counts), shards: 1 },
      };
      const totals = [{ value: "web", documents: [2, 2], bytes: [6, 6], tokens: [[4, 4]] }];
      const shard = {
        path: "/a",
        size: 9,
        version: "v",
        sha256: "s",
        domain: null,
        rowStart: 0,
        unitRows: [5, 5],
        totals,
      };
      return [joined(counts, Buffer.from(`${JSON.stringify(header)}\n${JSON.stringify(shard)}\n`))];
    },
    mutate: inBoth(mutateEnds, (draws, input) => {
      const lines = input.toString("utf8").trimEnd().split("\n");
      const at = draws.below(lines.length);
      lines[at] = mutateJson(draws, Buffer.from(lines[at]!)).toString("utf8");
      return Buffer.from(`${lines.join("\n")}\n`);
    }),
    async run(input, folder) {
      const [counts, list] = parted(input);
      const path = join(folder, "00000.counts.arrow");
      await writeFile(path, counts);
      await writeFile(join(folder, "00000.kept.jsonl"), list);
      await attempt(async () => {
        const file = await readCountsFile(path, sha256(counts));
        return [file.domain.length, file.bytes.length, file.tokens("r50k").length];
      });
      await attempt(() => readJsonLines(join(folder, "00000.kept.jsonl"), sha256(list)));
      await attempt(async () => {
        const tokenizer = { name: "r50k", fingerprint: "f" } as Parameters<
          typeof KeptCounts.open
        >[1]["tokenizers"][number];
        const wanted = { profile: "p", tokenizers: [tokenizer], domainMatters: false };
        const kept = await KeptCounts.open([{ path: folder, origin: "cache" }], wanted);
        const layout = { format: "jsonl" as const, size: 9, rows: null, units: [] };
        const found = { path: "/a", domain: null, split: "train" as const, version: "v", layout };
        kept.claim("/a", found);
        kept.isLikely(9);
        await kept.find("s", found);
      });
    },
  },
  {
    name: "done-mark",
    async seeds(folder) {
      const output = new OutputFolder(join(folder, "run"));
      await output.claim("fuzz");
      const work = await output.workFolder("count", "0123456789abcdef");
      await writeFile(join(work, "counts.json"), "{}\n");
      await output.publish({ stage: "count", version: 3 }, "0123456789abcdef", { totals: [1] });
      return [await readFile(join(folder, "run", "count", "done.json"))];
    },
    mutate: resealed,
    async run(input, folder) {
      const output = new OutputFolder(join(folder, "run"));
      await writeFile(join(folder, "run", "count", "done.json"), input);
      await attempt(async () => {
        const damaged = await output.damagedFile("count");
        const mark = await output.done("count");
        const outside = mark?.files.find(({ path }) => !join(folder, path).startsWith(folder + sep));
        if (outside || (damaged !== undefined && !damaged.startsWith(folder + sep)))
          throw new Error(`took over a file outside the folder: ${outside?.path ?? damaged}`);
      });
      await writeFile(join(folder, "run", ".doremi", "run.json"), input);
      await attempt(() => output.claim("fuzz"));
      await rm(join(folder, "run", ".doremi", "run.json"), { force: true });
      await writeFile(join(folder, "run", ".doremi", "run.json"), canonicalJson({ doremi: 1, pipeline: "fuzz" }));
    },
  },
  {
    name: "pipeline",
    seeds: async () => [
      ...(await Promise.all(PIPELINES.map((path) => readFile(path)))),
      Buffer.from(LONG_PIPELINE),
      Buffer.from(
        "version: 1\nname: &a [x]\na: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nb: &c [*b,*b,*b,*b,*b,*b]\nc: [*c,*c,*c,*c]\n",
      ),
    ],
    mutate: mutateText,
    run: (input) => attempt(async () => parsePipeline(input.toString("utf8"), "fuzz.yaml")),
  },
  {
    name: "token-store",
    async seeds(folder) {
      const writer = await TokenStoreWriter.create(join(folder, "store"), { vocabularySize: 100 });
      await writer.write(Uint32Array.of(1, 2, 3));
      await writer.write(Uint32Array.of(4));
      await writer.commit();
      return [await readFile(join(folder, "store.idx"))];
    },
    mutate: mutateBytes,
    async run(input, folder) {
      await writeFile(join(folder, "store.idx"), input);
      await attempt(async () => {
        const store = await openTokenStore(join(folder, "store"));
        try {
          store.read(0, store.tokens);
        } finally {
          store.close();
        }
      });
    },
  },
  {
    name: "trace",
    async seeds(folder) {
      const inputs = readGolden<GoldenInputs>("doremi/inputs_k2_small_excess.json");
      const proxy = recordedProxy(inputs);
      return [await readFile(await writeRun(folder, proxy, recordsOf(inputs, proxy)))];
    },
    mutate: mutateEnds,
    async run(input, folder) {
      const path = join(folder, "trace.arrow");
      await writeFile(path, input);
      await attempt(async () => {
        const recording = await openRecording(path);
        try {
          for await (const _ of recording.steps());
        } finally {
          await recording.close();
        }
      });
    },
  },
  {
    name: "weights",
    seeds: async () => [
      Buffer.from('{"web":0.5,"books":0.5}'),
      Buffer.from('{"train_domain_weights":{"web":0.7001,"books":0.3}}'),
    ],
    mutate: mutateJson,
    async run(input, folder) {
      const text = input.toString("utf8");
      const path = join(folder, "weights.json");
      await attempt(async () => parseWeightsFile(text, ["web", "books"], path));
      await attempt(async () => matchWeights(parseWeightsTable(text, path), ["web", "__proto__"], "weights", path));
      await mkdir(join(folder, "set"), { recursive: true });
      await writeFile(join(folder, "set", "materialized.json"), input);
      await attempt(() => loadMaterialized(join(folder, "set")));
    },
  },
];

/** Whether an input has given the prototype a member, or left the root. */
export function pollution(): string | undefined {
  const polluted = Object.keys(Object.prototype);
  return polluted.length > 0 ? `Object.prototype has ${polluted.join(", ")}` : undefined;
}

export { ESCAPES };
