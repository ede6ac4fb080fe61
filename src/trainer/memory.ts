/**
 * How much memory a training stage needs at its highest, from its settings alone; and what to change where that is more
 * than there is. What arrays there are follows from the model; what an engine adds to them was measured
 * (bench/train/memory.ts), because its arena keeps more than is alive at once.
 */
import { elements } from "../engine/graph.ts";
import { formatBytes } from "../lib/byte-size.ts";
import { DoremiError } from "../lib/errors.ts";
import type { ModelConfig, OptimizerConfig } from "./contract.ts";
import { type CompleteModel, completeModel, parameterCount, parameterShapes } from "./model.ts";
import { optimizerStateShapes } from "./optimizer.ts";

/** What memory depends on. */
export interface MemorySettings {
  readonly model: ModelConfig;
  readonly optimizer: OptimizerConfig;
  /** sequences of a batch */
  readonly batchSize: number;
  /** sequences computed at once, a divisor of the batch */
  readonly microBatch: number;
  /** default: false */
  readonly recompute?: boolean;
  /** present for a proxy */
  readonly proxy?: {
    /** the model that runs beside it; null where its losses are known */
    readonly resident: ModelConfig | null;
    /** with a smaller micro-batch: exact runs the whole batch forward first */
    readonly accumulation: "exact" | "stale";
  };
}

/** Bytes at the highest, by what they are for. */
export interface MemoryNeed {
  /** the program itself, with its libraries and threads */
  readonly runtime: number;
  /** parameters, their gradients, and what the optimizer keeps */
  readonly state: number;
  /** what the forward pass leaves for the backward pass */
  readonly activations: number;
  /** scores of every token of the vocabulary, and their gradients */
  readonly output: number;
  /** a proxy's reference where it runs beside it, and its own forward pass before accumulation */
  readonly reference: number;
  /** a copy of parameters and optimizer state, which is written */
  readonly checkpoint: number;
  /** the batch itself, whatever of it is computed at once */
  readonly batch: number;
  readonly total: number;
}

/** Of engine cpu. `npx tsx bench/train/memory.ts --fit` measures and prints them. */
export const MEASURED: MemoryTerms = {
  runtime: 192e6,
  activations: 0.99,
  attention: 0.77,
  output: 2.09,
  forward: 1.54,
  copies: 1.09,
};

/** Predictions are off by no more than this; what is over by more cannot fit. */
export const TOLERANCE = 0.15;

const FLOAT_BYTES = 4;
/** [B, T]: inputs, targets, mask, losses */
const BATCH_ARRAYS = 4;

/** What the memory of a run is a sum of, beside what is known: bytes each, times what was measured. */
export interface MemoryTerms {
  /** 1 */
  readonly runtime: number;
  /** arrays that differentiation keeps of the layers, attention's probabilities apart */
  readonly activations: number;
  /** an array [B, H, T, T] of each layer */
  readonly attention: number;
  /** an array [N, V] of the training step */
  readonly output: number;
  /** an array [N, V] of a forward pass alone */
  readonly forward: number;
  /** a copy of parameters and optimizer state */
  readonly copies: number;
}

export function trainingMemory(settings: MemorySettings): MemoryNeed {
  const known = knownMemory(settings);
  const terms = memoryTerms(settings);
  const of = (term: keyof MemoryTerms) => Math.round(MEASURED[term] * terms[term]);
  const need = {
    runtime: of("runtime"),
    state: known.state,
    activations: of("activations") + of("attention"),
    output: of("output"),
    reference: known.reference + of("forward"),
    checkpoint: of("copies"),
    batch: known.batch,
  };
  return { ...need, total: Object.values(need).reduce((sum, bytes) => sum + bytes, 0) };
}

/** Arrays that are there for as long as the training is. Bytes. */
export function knownMemory(settings: MemorySettings) {
  const { model, batchSize, microBatch, proxy } = settings;
  const parameters = parameterCount(model);
  const accumulated = microBatch < batchSize ? parameters : 0;
  return {
    state: FLOAT_BYTES * (parameters + accumulated) + storedBytes(settings),
    reference: proxy?.resident ? FLOAT_BYTES * parameterCount(proxy.resident) : 0,
    batch: FLOAT_BYTES * BATCH_ARRAYS * batchSize * model.sequenceLength,
  };
}

/** Of parameters and optimizer state. */
function storedBytes({ model, optimizer }: MemorySettings): number {
  const kept = Object.values(optimizerStateShapes(parameterShapes(model), optimizer));
  return FLOAT_BYTES * (parameterCount(model) + kept.reduce((sum, shape) => sum + elements(shape), 0));
}

export function memoryTerms(settings: MemorySettings): MemoryTerms {
  const { model: config, batchSize, microBatch: B, recompute, proxy } = settings;
  const model = completeModel(config);
  const { vocabularySize: V, sequenceLength: T, width: D, layers: L, heads: H } = model;
  const N = B * T;
  const layer = N * keptWidth(model);
  const before = proxy?.accumulation === "exact" && B < batchSize ? N * V : 0;
  const resident = proxy?.resident ? N * proxy.resident.vocabularySize : 0;
  return {
    runtime: 1,
    activations: FLOAT_BYTES * (recompute ? L * N * D + layer : L * layer),
    attention: FLOAT_BYTES * (recompute ? 1 : L) * B * H * T * T,
    output: FLOAT_BYTES * N * V,
    forward: FLOAT_BYTES * (resident + before),
    copies: storedBytes(settings),
  };
}

/** Floats that differentiation keeps of a layer for each token, attention's probabilities apart. */
function keptWidth(model: CompleteModel): number {
  const { width: D, innerWidth: F, heads: H } = model;
  // gpt2: two normed inputs; queries, keys and values before and after the heads are taken apart; attention's result;
  // the inner layer before and after GELU, and its tanh
  if (model.architecture === "gpt2") return 9 * D + 3 * F;
  // llama: gate, its SiLU, up, and their product
  return 5 * D + 4 * (D / H) * model.keyValueHeads + 4 * F;
}

/** A change of settings, and what it brings the need down to. */
export interface MemoryAdvice {
  readonly microBatch: number;
  readonly recompute: boolean;
  readonly need: MemoryNeed;
}

/**
 * The change with which the training fits at the most sequences at once, recomputation, which costs one more forward pass,
 * before fewer of them. null where nothing of this is enough.
 */
export function adviseMemory(settings: MemorySettings, available: number): MemoryAdvice | null {
  const { batchSize, microBatch, recompute = false } = settings;
  for (const rows of divisors(batchSize).filter((rows) => rows <= microBatch)) {
    for (const again of recompute ? [true] : [false, true]) {
      const need = trainingMemory({ ...settings, microBatch: rows, recompute: again });
      if (need.total <= available) return { microBatch: rows, recompute: again, need };
    }
  }
  return null;
}

/** From the largest down. */
function divisors(whole: number): number[] {
  const small: number[] = [];
  for (let d = 1; d * d <= whole; d++) if (whole % d === 0) small.push(d);
  const large = small.map((d) => whole / d);
  return [...new Set([...large, ...small.reverse()])];
}

/** “set train.recompute: true and train.microBatch: 4” */
export function adviceText(settings: MemorySettings, advice: MemoryAdvice | null): string {
  if (!advice) {
    const { batch, total } = trainingMemory({ ...settings, microBatch: 1, recompute: true });
    const smaller = "a smaller model, a shorter sequence or a smaller vocabulary (train.tokenizer)";
    return batch > total / 2 ? "take a smaller train.batchSize" : `take ${smaller}`;
  }
  const changes = [
    ...(advice.recompute === (settings.recompute ?? false) ? [] : ["train.recompute: true"]),
    ...(advice.microBatch === settings.microBatch ? [] : [`train.microBatch: ${advice.microBatch}`]),
  ];
  return `set ${changes.join(" and ")}`;
}

/** Refuses what surely cannot fit, hours before it would die. @throws DoremiError memory */
export function refuseTooLarge(settings: MemorySettings, limit: number): void {
  const { total } = trainingMemory(settings);
  if (total * (1 - TOLERANCE) <= limit) return;
  const remedy = adviceText(settings, adviseMemory(settings, limit));
  throw new DoremiError(
    "bad-configuration",
    "memory",
    `training: it must fit into the ${formatBytes(limit)} of memory that there are, but needs about ${formatBytes(total)}; ${remedy}`,
  );
}
