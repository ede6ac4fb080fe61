/** A tiny proxy or reference with its token stores in a folder: what the stages train, without a pipeline around it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { TokenStoreWriter } from "../../src/formats/token-store.ts";
import { sha256File } from "../../src/lib/hash.ts";
import { Rng } from "../../src/lib/rng.ts";
import { uniformFacts } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { WorkerPool } from "../../src/stages/pool.ts";
import type { TrainingInput } from "../../src/stages/reference/contract.ts";
import type { StageContext, StageEvent, TrainingExecution } from "../../src/stages/stage.ts";
import { modelReference, type TrainingReport, trainModel } from "../../src/stages/training.ts";
import { completeModel } from "../../src/trainer/model.ts";

export const STEPS = 12;
/** So many that a process can be killed in the middle of them. */
export const LONG_STEPS = 300;
export const T = 16;
const DOMAINS = ["small", "large"];
const VOCABULARY = 50;

export interface Settings {
  readonly training?: Partial<TrainingExecution>;
  readonly cache?: string;
  /** of the two domains; default 10 and 40 */
  readonly sequences?: readonly [number, number];
  /** folder in which somebody is still writing the token stores */
  readonly unfinished?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StageEvent) => void;
  readonly input?: Partial<TrainingInput>;
}

/** Token stores in a folder, the same each time. */
async function tokens(folder: string, sequencesOf: readonly [number, number]): Promise<TrainingInput["tokens"]> {
  const store = async (name: string, sequences: number) => {
    const prefix = join(folder, name);
    const writer = await TokenStoreWriter.create(prefix, { vocabularySize: VOCABULARY });
    const rng = new Rng(7, name);
    await writer.write(Uint32Array.from({ length: sequences * T + 1 }, (_, i) => rng.uint32(i) % VOCABULARY));
    await writer.commit();
    const fingerprint = await sha256File(`${prefix}.bin`);
    return { path: name, documents: 1, tokens: sequences * T + 1, fingerprint };
  };
  const domains: TrainingInput["tokens"]["domains"] = [];
  for (const [d, name] of DOMAINS.entries()) {
    const training = await store(name, sequencesOf[d]!);
    const heldOut = d === 0 ? null : await store(`${name}-held-out`, 3);
    domains.push({ name, reference: training, proxy: training, disjoint: false, heldOut });
  }
  const tokenizer = { name: "random", fingerprint: "", vocabularySize: VOCABULARY, endOfText: null };
  return { tokenizer, vocabulary: null, sequenceLength: T, domains, notes: [] };
}

/** Trains a model in `folder`/`stage`; a proxy's reference has to be there already. */
export async function smallTraining(
  folder: string,
  stage: "reference" | "proxy",
  { training, cache, sequences = [10, 40], unfinished, signal, onEvent, input: overrides }: Settings = {},
): Promise<TrainingReport> {
  mkdirSync(join(folder, stage), { recursive: true });
  const at = (name: string): StageContext => ({
    folder: join(folder, name),
    previous: undefined,
    ...(cache !== undefined && { cache }),
    folderOf: (other) => join(folder, other),
    unfinishedFolderOf: () => unfinished,
    seed: 1,
    signal: signal ?? new AbortController().signal,
    training: {
      engine: "cpu",
      threads: 1,
      checkpointEvery: 4,
      keepCheckpoints: 2,
      microBatch: null,
      recompute: false,
      referenceLosses: "resident",
      ...training,
    },
    pool: new WorkerPool({ workers: 1 }),
    emit: onEvent ?? (() => {}),
  });
  const input: TrainingInput = {
    tokens: await tokens(join(folder, unfinished === undefined ? "tokenize" : "as-announced"), sequences),
    model: completeModel({
      architecture: "gpt2",
      vocabularySize: VOCABULARY,
      sequenceLength: T,
      width: 16,
      layers: 1,
      heads: 2,
    }),
    optimizer: {
      name: "adamw",
      learningRate: 1e-2,
      finalLearningRate: 1e-3,
      warmupSteps: 2,
      decay: "cosine",
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      weightDecay: 0.01,
      clipNorm: 1,
    },
    steps: STEPS,
    batchSize: 8,
    precision: "float32",
    evaluationSequences: 3,
    seed: 1,
    ...overrides,
  };
  const request = { stage, input, context: at(stage), weights: [1, 1] } as const;
  if (stage === "reference") return trainModel(request);
  const reference = await modelReference(at("reference"));
  return trainModel({
    ...request,
    proxy: {
      objective: DOREMI_PRESETS.paper,
      facts: uniformFacts(2, input.model),
      reference: { folder: join(folder, "reference", reference.path), demands: input.model },
      referenceSha256: reference.sha256,
      accumulation: "exact",
      trace: true,
    },
  });
}
