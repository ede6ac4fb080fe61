/**
 * What this machine can do for a run: its processors, memory and disk, which engines work and how fast, tokenizers, and
 * what is there for object stores and clusters. Names of credentials only, never a value. Measures for a few seconds and
 * changes nothing.
 */
import { constants } from "node:fs";
import { access, open, rm, statfs } from "node:fs/promises";
import { availableParallelism, cpus, homedir } from "node:os";
import { join, resolve } from "node:path";
import { chooseEngine, createEngine } from "../engine/choose.ts";
import { reportCuda } from "../engine/cuda.ts";
import type { EngineName } from "../engine/engine.ts";
import type { EngineReport } from "../engine/report.ts";
import { reportTfjs } from "../engine/tfjs.ts";
import { type Trial, tryProvider } from "../engine/trial.ts";
import { reportWebGpu } from "../engine/webgpu.ts";
import { availableMemory } from "../lib/available-memory.ts";
import { toPlainError } from "../lib/errors.ts";
import { programPaths } from "../lib/program-paths.ts";
import { Rng } from "../lib/rng.ts";
import { openOnce } from "../tokenizer/open.ts";
import { resolveTokenizer } from "../tokenizer/resolve.ts";
import type { ModelConfig, TrainingBatch } from "../trainer/contract.ts";
import { countParameters, forwardFlops, trainingFlops } from "../trainer/model.ts";
import { PRESETS } from "../trainer/presets.ts";
import { train } from "../trainer/train.ts";

/** As package.json's engines has it. */
const NODE_NEEDED = [20, 20] as const;

export interface DoctorOptions {
  /** where results would go */
  readonly folder: string;
  /** names and files to open beside the built-in vocabularies */
  readonly tokenizers?: readonly string[];
  /** measure nothing */
  readonly quick?: boolean;
  readonly signal?: AbortSignal;
}

export interface EngineDiagnosis extends EngineReport {
  /** `engine: auto` takes it */
  readonly chosen: boolean;
  /** products of matrices, GFLOP/s; null where not measured */
  readonly gflops: number | null;
  /** of the small model that is trained for a moment; null where not measured */
  readonly training: { readonly tokensPerSecond: number; readonly flopsPerSecond: number } | null;
}

export interface Diagnosis {
  readonly node: { readonly version: string; readonly needed: string; readonly supported: boolean };
  readonly machine: {
    readonly platform: string;
    readonly processor: string;
    /** that this process may use */
    readonly processors: number;
    /** bytes */
    readonly memory: { readonly limit: number; readonly available: number };
  };
  readonly disk: {
    readonly folder: string;
    /** null where it cannot be known */
    readonly freeBytes: number | null;
    readonly writable: boolean;
    /** median of making a few bytes durable; null where not measured */
    readonly syncMs: number | null;
  };
  readonly engines: readonly EngineDiagnosis[];
  readonly tokenizers: readonly {
    readonly name: string;
    /** why it cannot be used; null where it can */
    readonly fault: string | null;
    readonly openMs: number | null;
    /** of made-up words, on one thread; null where not measured */
    readonly bytesPerSecond: number | null;
  }[];
  readonly stores: readonly {
    readonly scheme: "s3" | "gs" | "az";
    /** variables that are set and files that are there: names, not values */
    readonly found: readonly string[];
  }[];
  readonly programs: readonly { readonly name: string; readonly path: string | null; readonly use: string }[];
  /** how long well-known trainings would take with the engine that is chosen, seconds */
  readonly estimates: readonly { readonly what: string; readonly seconds: number }[];
  /** what a run here would stop at */
  readonly problems: readonly string[];
}

/** What is asked of the machine; tests answer themselves. */
export interface DoctorProbes {
  readonly version: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly home: string;
  isThere(path: string): Promise<boolean>;
  engines(): Promise<readonly EngineReport[]>;
  chosen(): Promise<EngineName>;
  gflops(name: EngineName): Promise<Trial>;
  trainingSpeed(name: EngineName, signal?: AbortSignal): Promise<EngineDiagnosis["training"]>;
}

export const DOCTOR_PROBES: DoctorProbes = {
  version: process.version,
  environment: process.env,
  home: homedir(),
  isThere: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  engines: async () => [
    { name: "cpu", usable: true, why: `${availableParallelism()} threads` },
    await reportCuda(),
    await reportWebGpu(),
    await reportTfjs(),
  ],
  chosen: async () => (await chooseEngine()).name,
  gflops: (name) => tryProvider(name),
  trainingSpeed,
};

export async function diagnose(options: DoctorOptions, probes: DoctorProbes = DOCTOR_PROBES): Promise<Diagnosis> {
  const { quick = false, signal } = options;
  const node = nodeOf(probes.version);
  const disk = await diskOf(resolve(options.folder), quick);
  const engines = await enginesOf(quick, probes, signal);
  const tokenizers = [];
  for (const name of ["r50k", "cl100k", "o200k", ...(options.tokenizers ?? [])]) {
    signal?.throwIfAborted();
    tokenizers.push(await tokenizerOf(name, quick));
  }
  const given = new Set(options.tokenizers);
  const problems = [
    ...(node.supported ? [] : [`Node ${node.version}: at least ${node.needed} is needed; install a newer one`]),
    ...(disk.writable ? [] : [`${disk.folder}: cannot be written; choose another folder with --output`]),
    ...(engines.some(({ usable }) => usable) ? [] : ["no engine works: nothing can be trained here"]),
    ...tokenizers.flatMap(({ name, fault }) => (fault !== null && given.has(name) ? [fault] : [])),
  ];
  return {
    node,
    machine: {
      platform: `${process.platform} ${process.arch}`,
      processor: cpus()[0]?.model.trim() ?? "unknown",
      processors: availableParallelism(),
      memory: availableMemory(),
    },
    disk,
    engines,
    tokenizers,
    stores: await storesOf(probes),
    programs: await programsOf(probes),
    estimates: estimatesOf(engines),
    problems,
  };
}

function nodeOf(version: string): Diagnosis["node"] {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const [least, least2] = NODE_NEEDED;
  const supported = major > least || (major === least && minor >= least2);
  return { version: version.replace(/^v/, ""), needed: NODE_NEEDED.join("."), supported };
}

const SYNCS = 5;

async function diskOf(folder: string, quick: boolean): Promise<Diagnosis["disk"]> {
  const there = await nearestThatIs(folder);
  const freeBytes = await statfs(there).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => null,
  );
  const probe = join(there, `.doremi-doctor-${process.pid}`);
  try {
    const file = await open(probe, "wx");
    try {
      const durations: number[] = [];
      for (let i = 0; !quick && i < SYNCS; i++) {
        const start = performance.now();
        await file.write("doremi");
        await file.sync();
        durations.push(performance.now() - start);
      }
      return { folder, freeBytes, writable: true, syncMs: durations.length === 0 ? null : median(durations) };
    } finally {
      await file.close();
      await rm(probe, { force: true });
    }
  } catch {
    return { folder, freeBytes, writable: false, syncMs: null };
  }
}

/** The folder itself, or the one that it would be made in. */
async function nearestThatIs(folder: string): Promise<string> {
  for (let at = folder; ; at = resolve(at, "..")) {
    const isThere = await access(at, constants.F_OK).then(
      () => true,
      () => false,
    );
    if (isThere || resolve(at, "..") === at) return at;
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

async function enginesOf(quick: boolean, probes: DoctorProbes, signal?: AbortSignal): Promise<EngineDiagnosis[]> {
  const [reports, chosen] = [await probes.engines(), await probes.chosen()];
  const found: EngineDiagnosis[] = [];
  for (const report of reports) {
    signal?.throwIfAborted();
    const isChosen = report.usable && report.name === chosen;
    const unmeasured = { ...report, chosen: isChosen, gflops: null, training: null };
    if (quick || !report.usable) {
      found.push(unmeasured);
      continue;
    }
    // TensorFlow.js is no provider of ONNX Runtime.
    const trial = report.name === "tfjs" ? undefined : await probes.gflops(report.name);
    const training = await probes.trainingSpeed(report.name, signal).catch((error: unknown) => {
      if (signal?.aborted) throw error;
      return toPlainError(error).message;
    });
    if (typeof training === "string") {
      found.push({ ...unmeasured, usable: false, chosen: false, why: `a step of training fails: ${training}` });
    } else {
      found.push({ ...unmeasured, gflops: trial?.works ? trial.speed : null, training });
    }
  }
  return found;
}

/** What is trained for a moment: the smallest preset over the quickstart's vocabulary. */
const SMALL: ModelConfig = { architecture: "gpt2", vocabularySize: 4096, ...PRESETS["1M"] };
const SEQUENCES = 8;
const MEASURED_MS = 1_500;
/** Steps that make buffers and warm up. */
const UNMEASURED_STEPS = 2;

/** Steps of a small model, through the trainer's own loop. */
async function trainingSpeed(name: EngineName, signal?: AbortSignal): Promise<EngineDiagnosis["training"]> {
  const { engine } = await createEngine({ engine: name });
  const enough = new AbortController();
  const durations: number[] = [];
  let spent = 0;
  try {
    await train({
      engine,
      model: SMALL,
      optimizer: {
        ...{ name: "adamw", learningRate: 1e-4, finalLearningRate: 1e-4, warmupSteps: 0, decay: "constant" },
        ...{ weightDecay: 0, clipNorm: 1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
      },
      steps: 1_000_000,
      seed: 1,
      batches: { domains: 1, batchSize: SEQUENCES, batch: madeUpBatch },
      signal: signal ? AbortSignal.any([signal, enough.signal]) : enough.signal,
      onStep: ({ step, durationMs }) => {
        if (step <= UNMEASURED_STEPS) return;
        durations.push(durationMs);
        spent += durationMs;
        if (spent >= MEASURED_MS) enough.abort();
      },
    }).catch((error: unknown) => {
      if (!enough.signal.aborted) throw error;
    });
  } finally {
    await engine.close();
  }
  const tokens = SEQUENCES * SMALL.sequenceLength;
  const seconds = median(durations) / 1000;
  return { tokensPerSecond: tokens / seconds, flopsPerSecond: trainingFlops(SMALL, tokens) / seconds };
}

function madeUpBatch(step: number): TrainingBatch {
  const size = SEQUENCES * SMALL.sequenceLength;
  const ids = Int32Array.from({ length: size + 1 }, (_, i) => (i * 7919 + step * 104_729) % SMALL.vocabularySize);
  return {
    inputs: ids.slice(0, size),
    targets: ids.slice(1),
    mask: new Float32Array(size).fill(1),
    domains: new Int32Array(SEQUENCES),
  };
}

const TEXT_BYTES = 4 << 20;
const DOCUMENTS = 512;

/** Made-up words, some often and most seldom as in a language, so that a tokenizer meets new ones all the time. */
function madeUpText(): Buffer {
  const rng = new Rng(1, "doctor");
  const letters = "etaoinshrdlucmfwygpbvk";
  const letter = (at: number) => letters[Math.floor(rng.uniform(at) ** 2 * letters.length)]!;
  const words = Array.from({ length: 30_000 }, (_, word) =>
    Array.from({ length: 2 + Math.floor(rng.uniform(word) * 8) }, (_, i) => letter(30_000 + word * 16 + i)).join(""),
  );
  const text: string[] = [];
  for (let bytes = 0, at = 1_000_000; bytes < TEXT_BYTES; at++) {
    const word = words[Math.floor(words.length ** rng.uniform(at)) - 1]!;
    text.push(word);
    bytes += word.length + 1;
  }
  return Buffer.from(text.join(" "));
}

async function tokenizerOf(name: string, quick: boolean): Promise<Diagnosis["tokenizers"][number]> {
  try {
    const started = performance.now();
    const tokenizer = await openOnce(await resolveTokenizer(name, process.cwd()));
    const openMs = performance.now() - started;
    if (quick) return { name, fault: null, openMs, bytesPerSecond: null };
    const text = madeUpText();
    const offsets = Uint32Array.from({ length: DOCUMENTS + 1 }, (_, i) => Math.floor((i * text.length) / DOCUMENTS));
    const counting = performance.now();
    tokenizer.count(text, offsets, new Uint32Array(DOCUMENTS));
    return { name, fault: null, openMs, bytesPerSecond: text.length / ((performance.now() - counting) / 1000) };
  } catch (error) {
    return { name, fault: toPlainError(error).message, openMs: null, bytesPerSecond: null };
  }
}

/** What stores.ts's library and the vendors' tools look for. */
const STORES = [
  {
    scheme: "s3",
    variables:
      /^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|PROFILE|REGION|DEFAULT_REGION|ENDPOINT_URL(_S3)?|NO_SIGN_REQUEST|ROLE_ARN|WEB_IDENTITY_TOKEN_FILE)$/,
    files: [".aws/credentials", ".aws/config"],
  },
  {
    scheme: "gs",
    variables: /^(GOOGLE_APPLICATION_CREDENTIALS|STORAGE_EMULATOR_HOST|GOOGLE_CLOUD_PROJECT)$/,
    files: [".config/gcloud/application_default_credentials.json"],
  },
  {
    scheme: "az",
    variables: /^AZURE_(STORAGE_\w+|CLIENT_ID|CLIENT_SECRET|TENANT_ID|FEDERATED_TOKEN_FILE)$/,
    files: [".azure/azureProfile.json"],
  },
] as const;

async function storesOf({ environment, home, isThere }: DoctorProbes): Promise<Diagnosis["stores"]> {
  const found = [];
  for (const { scheme, variables, files } of STORES) {
    const names = Object.keys(environment).filter((name) => variables.test(name) && environment[name] !== "");
    const there = [];
    for (const file of files) if (await isThere(join(home, file))) there.push(`~/${file}`);
    found.push({ scheme, found: [...names.sort(), ...there] });
  }
  return found;
}

const PROGRAMS = [
  { name: "sbatch", use: "executor: slurm" },
  { name: "kubectl", use: "executor: kubernetes" },
] as const;

async function programsOf({ environment, isThere }: DoctorProbes): Promise<Diagnosis["programs"]> {
  const found = [];
  for (const { name, use } of PROGRAMS) {
    let path: string | null = null;
    for (const found of programPaths(name, environment.PATH ?? ""))
      if (path === null && (await isThere(found))) path = found;
    found.push({ name, path, use });
  }
  return found;
}

/** The reference and the proxy, whose step is a training step of its own and a forward pass of the reference. */
function twoModels(model: ModelConfig, tokens: number): number {
  return 2 * trainingFlops(model, tokens) + forwardFlops(model, tokens);
}

function estimatesOf(engines: readonly EngineDiagnosis[]): Diagnosis["estimates"] {
  const speed = engines.find(({ chosen }) => chosen)?.training?.flopsPerSecond;
  if (speed === undefined) return [];
  const quickstart: ModelConfig = {
    ...{ architecture: "gpt2", vocabularySize: 4096, layers: 2, width: 128, heads: 4, sequenceLength: 64 },
  };
  const small: ModelConfig = { architecture: "gpt2", vocabularySize: 50_257, ...PRESETS["15M"] };
  const paper: ModelConfig = { architecture: "gpt2", vocabularySize: 256_000, ...PRESETS["280M"] };
  const parameters = (model: ModelConfig) => `${Math.round(countParameters(model).total / 1e6)} M parameters`;
  return [
    { what: "reference and proxy of the quickstart (0.7 M tokens each)", flops: twoModels(quickstart, 350 * 2048) },
    { what: `reference and proxy of ${parameters(small)}, 100 M tokens each`, flops: twoModels(small, 100e6) },
    {
      what: `the paper's reference and proxy: ${parameters(paper)}, 200,000 steps of 512 sequences of 1,024`,
      flops: twoModels(paper, 200_000 * 512 * 1024),
    },
  ].map(({ what, flops }) => ({ what, seconds: flops / speed }));
}
