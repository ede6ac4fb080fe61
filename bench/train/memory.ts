/**
 * Predicted against measured memory of the training stages: runs the built program on the quickstart's text with models
 * of several shapes, two steps and a checkpoint each, and prints a table. The whole of it goes to bench/results/memory.md,
 * and as JSON beside it, where the tests find it.
 *
 *   npm run build && npx tsx bench/train/memory.ts [--fit] [--large] [--only PART-OF-A-NAME]
 *
 * --fit prints the factors of src/trainer/memory.ts that come closest; --large adds models of half a gigabyte, which the
 * results have too.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { VERSION } from "../../src/lib/version.ts";
import type { ModelConfig } from "../../src/trainer/contract.ts";
import {
  knownMemory,
  type MemorySettings,
  type MemoryTerms,
  memoryTerms,
  TOLERANCE,
  trainingMemory,
} from "../../src/trainer/memory.ts";
import { machine } from "../machine.ts";
import { table } from "../markdown.ts";
import { runProgram } from "../process.ts";
import { OPTIMIZER } from "./cases.ts";
import { fitFactors } from "./fit.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const RESULTS = fileURLToPath(new URL("../results/memory", import.meta.url));
const QUICKSTART = fileURLToPath(new URL("../../pipelines/quickstart/", import.meta.url));

interface Shape {
  readonly architecture?: "gpt2" | "llama";
  /** [V, D, L, H, T, B]; V 4096: the quickstart's tokenizer, 50257: r50k */
  readonly sizes: readonly [4096 | 50257, number, number, number, number, number];
  readonly microBatch?: number;
  readonly recompute?: boolean;
}

const SHAPES: readonly Shape[] = [
  { sizes: [4096, 64, 2, 4, 64, 8] },
  { sizes: [4096, 256, 4, 4, 128, 8] },
  { sizes: [4096, 256, 4, 4, 128, 32] },
  { sizes: [4096, 256, 4, 4, 128, 32], recompute: true },
  { sizes: [4096, 256, 4, 4, 128, 32], microBatch: 8 },
  { sizes: [4096, 128, 8, 8, 512, 4] },
  { sizes: [4096, 384, 8, 6, 256, 4] },
  { architecture: "llama", sizes: [4096, 256, 4, 4, 128, 16] },
  { sizes: [50257, 128, 2, 4, 128, 4] },
  { sizes: [50257, 256, 4, 4, 256, 4] },
  { architecture: "llama", sizes: [50257, 256, 4, 4, 128, 8] },
];
const LARGE: readonly Shape[] = [
  { sizes: [50257, 768, 12, 12, 512, 1] },
  { sizes: [50257, 768, 12, 12, 512, 1], recompute: true },
];

interface Measured {
  readonly name: string;
  readonly settings: MemorySettings;
  readonly bytes: number;
}

const { values } = parseArgs({
  options: {
    fit: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
const folder = await mkdtemp(join(tmpdir(), "doremi-memory-"));
try {
  const shapes = [...SHAPES, ...(values.large ? LARGE : [])].filter((shape) => nameOf(shape).includes(values.only));
  const measured: Measured[] = [];
  for (const [index, shape] of shapes.entries()) {
    process.stderr.write(`${nameOf(shape)}\n`);
    measured.push(...(await measure(shape, index)));
  }
  process.stdout.write(`${report(measured).join("\n")}\n`);
  if (values.only === "") await writeFile(`${RESULTS}.json`, `${JSON.stringify(measured, null, 1)}\n`);
  if (values.only === "") await writeFile(`${RESULTS}.md`, page(measured));
  if (values.fit) process.stdout.write(`\n${JSON.stringify(factorsOf(measured), null, 2)}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(shape: Shape, index: number): Promise<Measured[]> {
  const [vocabularySize, width, layers, heads, sequenceLength, batchSize] = shape.sizes;
  const { architecture = "gpt2", microBatch = batchSize, recompute = false } = shape;
  const path = join(folder, `${index}.yaml`);
  const sizes = { architecture, width, layers, heads, sequenceLength };
  const pipeline = {
    ...{ version: 1, name: "memory", output: join(folder, `out-${index}`), cache: join(folder, "cache") },
    tokenizer: vocabularySize === 4096 ? join(QUICKSTART, "tokenizer-4096.json") : "r50k",
    data: { files: join(QUICKSTART, "data/{domain}/part-*") },
    train: {
      ...{ model: sizes, batchSize, microBatch, recompute, engine: "cpu", checkpointEvery: 1, evaluationSequences: 1 },
      ...{ reference: { steps: 2 }, proxy: { steps: 2, referenceLosses: "resident" } },
    },
  };
  await writeFile(path, stringify(pipeline));
  const run = (until: string) =>
    runProgram({ program: process.execPath, args: [MAIN, "run", path, "--until", until, "--log-format", "json"] });
  await run("tokenize");
  const model: ModelConfig = { ...sizes, vocabularySize };
  const settings = { model, optimizer: OPTIMIZER, batchSize, microBatch, recompute };
  const name = nameOf(shape);
  return [
    { name: `${name}, reference`, settings, bytes: (await run("reference")).peakBytes! },
    {
      name: `${name}, proxy`,
      settings: { ...settings, proxy: { resident: model, accumulation: "exact" } },
      bytes: (await run("proxy")).peakBytes!,
    },
  ];
}

function page(measured: readonly Measured[]): string {
  const date = new Date().toISOString().slice(0, 10);
  return [
    "# Memory of the training stages, predicted and measured",
    `${date}; ${machine()}; doremi ${VERSION}. Made by \`npx tsx bench/train/memory.ts\`: the most that the whole program had resident in a stage of two steps, each with a checkpoint, and an evaluation; the proxy with its reference beside it. MB is a million bytes.`,
    report(measured).join("\n"),
  ]
    .join("\n\n")
    .concat("\n");
}

function nameOf({ architecture = "gpt2", sizes, microBatch, recompute }: Shape): string {
  const [V, D, L, H, T, B] = sizes;
  const how = `${microBatch === undefined ? "" : `, micro-batch ${microBatch}`}${recompute ? ", recompute" : ""}`;
  return `${architecture} V${V} D${D} L${L} H${H} T${T} B${B}${how}`;
}

function report(measured: readonly Measured[]): string[] {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
  const rows = measured.map(({ name, settings, bytes }) => {
    const { total, runtime, state, activations, output, reference, checkpoint } = trainingMemory(settings);
    const error = total / bytes - 1;
    return [
      ...[name, megabytes(bytes), megabytes(total), `${(error * 100).toFixed(1)} %`],
      Math.abs(error) <= TOLERANCE ? "" : "**over**",
      [runtime, state, activations, output, reference, checkpoint].map(megabytes).join(" + "),
    ];
  });
  return table(
    [
      "shape, stage",
      "measured MB",
      "predicted MB",
      "error",
      "",
      "runtime + state + activations + output + reference + checkpoint",
    ],
    rows,
  );
}

function factorsOf(measured: readonly Measured[]): MemoryTerms {
  return fitFactors(
    measured.map(({ settings, bytes }) => {
      const { state, reference } = knownMemory(settings);
      return { terms: memoryTerms(settings), known: state + reference, bytes };
    }),
  );
}
