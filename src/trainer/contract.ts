/**
 * What the trainer takes and gives. Tensor letters: B batch, T sequence length, D width, H heads, L layers,
 * V vocabulary, K domains, N = B·T tokens.
 */

import type { DomainStatistics, SequenceStatistics } from "../mixture/objective.ts";

/** A model's sizes. What is left out has the default of its architecture; `completeModel` fills it in. */
export interface ModelConfig {
  readonly architecture: "gpt2" | "llama";
  readonly vocabularySize: number; // V, of the model; a tokenizer's may be larger
  readonly sequenceLength: number; // T
  readonly width: number; // D
  readonly layers: number; // L
  readonly heads: number; // H, divides D; the width of a head is E = D ÷ H
  /** llama: heads of keys and values, a divisor of H. Default H */
  readonly keyValueHeads?: number;
  /** F, of the feed-forward layer. Default 4D for gpt2, 8D ÷ 3 rounded up to a multiple of 64 for llama */
  readonly innerWidth?: number;
  /** the output layer is the token embedding. Default true */
  readonly tied?: boolean;
  /** gpt2: GELU by its tanh approximation, or exact. Default gelu_new */
  readonly activation?: "gelu_new" | "gelu";
  /** of layer norms and RMS norms. Default 1e-5 */
  readonly normEpsilon?: number;
  /** llama: base of the rotary frequencies. Default 10000 */
  readonly ropeTheta?: number;
  /** llama: rotary frequencies as Llama 3.1 stretches them. Default null, as they are */
  readonly ropeScaling?: RopeScaling | null;
}

/** Llama 3.1's: wavelengths above originalPositions ÷ lowFrequencyFactor are stretched by the factor, short ones are not. */
export interface RopeScaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalPositions: number;
}

/** How a quantity gets from its first value to its last one. */
export type DecayShape = "exponential" | "cosine" | "linear" | "1-sqrt";

interface OptimizerSettings {
  /** at the end of the warm-up, from where it decays */
  readonly learningRate: number;
  /** at the last step */
  readonly finalLearningRate: number;
  readonly warmupSteps: number;
  /** wsd: the rate stays (warm-up, stable, decay) and falls over the last of the steps only */
  readonly decay: "exponential" | "cosine" | "linear" | "constant" | "wsd";
  /** wsd: share of all steps, the last ones, in which the rate falls; default 0.1 */
  readonly decayShare?: number | undefined;
  /** wsd: how it falls there; default 1-sqrt */
  readonly decayShape?: DecayShape | undefined;
  /** on matrices only, embeddings among them: not on biases and norms */
  readonly weightDecay: number;
  /** clip gradients to this global norm; 0 = off */
  readonly clipNorm: number;
}

/** arXiv 1711.05101 */
export interface AdamWConfig extends OptimizerSettings {
  readonly name: "adamw";
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** arXiv 1804.04235, with a learning rate from outside (relative_step false in fairseq and transformers) */
export interface AdafactorConfig extends OptimizerSettings {
  readonly name: "adafactor";
  /** of the running mean of updates; null = none is kept */
  readonly beta1: number | null;
  /** the second moment is averaged with 1 − step^−decayRate; the paper's 0.8 */
  readonly decayRate: number;
  /** d: an update whose root mean square is above is scaled down to it; the paper's 1 */
  readonly clipThreshold: number;
  /** ε₁, added to each squared gradient; the paper's 1e-30 */
  readonly epsilon1: number;
  /** ε₂, the least scale of a parameter where `scaleParameter` is set; the paper's 1e-3 */
  readonly epsilon2: number;
  /** the learning rate is relative to the root mean square of each parameter */
  readonly scaleParameter: boolean;
}

export type OptimizerConfig = AdamWConfig | AdafactorConfig;

/** One batch. Row b is a sequence of one domain. Arrays are row-major. */
export interface TrainingBatch {
  readonly inputs: Int32Array; // [B, T]
  readonly targets: Int32Array; // [B, T]
  /** 1 = counts, 0 = padding */
  readonly mask: Float32Array; // [B, T]
  readonly domains: Int32Array; // [B], 0..K−1
  /** the reference model's losses, where they are known already, [B, T] */
  readonly reference?: Float32Array;
}

/** Where batches come from. Pure in the step, so a resumed run sees the same ones. */
export interface BatchSource {
  readonly domains: number; // K
  readonly batchSize: number; // B
  batch(step: number): TrainingBatch | Promise<TrainingBatch>;
}

/** What is known after a training step; arrays are by domain. */
export interface StepRecord {
  readonly step: number; // 1-based
  /** mean cross-entropy (nats) over the batch's unmasked tokens */
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly tokens: number;
  readonly durationMs: number;
  /** of it, time in which the engine waited for the batch */
  readonly waitMs: number;
  /** mean held-out loss of each domain before this step, where it was measured; NaN for one that holds nothing out */
  readonly heldOut?: Float64Array; // [K]
  /** proxy only */
  readonly proxy?: ProxyRecord;
}

/** What a step made of the domain weights. */
export interface ProxyRecord {
  /** what the objective saw of the batch */
  readonly sequences: SequenceStatistics;
  readonly domains: DomainStatistics;
  /** weights of this step's objective */
  readonly alpha: Float64Array; // [K]
  /** mean of alpha over the steps so far: the result */
  readonly average: Float64Array; // [K]
}

/** Per-domain loss on held-out sequences. */
export interface EvaluationResult {
  /** mean cross-entropy (nats per token); null where a domain has no held-out token */
  readonly loss: readonly (number | null)[]; // [K]
  readonly tokens: readonly number[]; // [K]
  /** of each domain, its sequences in the order of evaluation */
  readonly sequences: readonly SequenceSums[]; // [K]
}

/** Sums over the tokens of each of several sequences. */
export interface SequenceSums {
  readonly tokens: readonly number[];
  readonly loss: readonly number[];
}
