/**
 * Sizes of models under the names that people know them by. Any of them may be changed; the architecture is GPT-2's unless
 * another is asked for.
 *
 * The numbers in the names count a vocabulary, and papers differ in it. Total parameters as GPT-2 with tied embeddings,
 * by the vocabulary that the name counts and by r50k's 50,257:
 *
 *     name    vocabulary         there    r50k   without embeddings
 *     1M      4,096             1.15 M  7.06 M   0.59 M
 *     4M      4,096             4.27 M  16.1 M   3.16 M
 *     15M     4,096             15.9 M  33.6 M   14.2 M
 *     70M     256,000           68.2 M  15.5 M   2.37 M
 *     120M    50,277             124 M   124 M   85.1 M
 *     150M    256,000            151 M  45.2 M   18.9 M
 *     280M    256,000            282 M   124 M   85.1 M
 *     510M    256,000            515 M   304 M    252 M
 *     760M    256,000            660 M   396 M    331 M
 *     1B      256,000           1332 M   911 M    806 M
 */
import type { ModelConfig } from "./contract.ts";

export type PresetName = keyof typeof PRESETS;

/** Sequences of the small ones, whose training on a processor takes minutes to hours; papers' are 1024 tokens long. */
const SHORT = 256;
const LONG = 1024;

/** Those of 70M and more, but for 120M, are Table 9 of arXiv 2305.10429; its proxy is the 280M. */
export const PRESETS = {
  "1M": { layers: 3, width: 128, heads: 4, sequenceLength: SHORT },
  "4M": { layers: 4, width: 256, heads: 4, sequenceLength: SHORT },
  "15M": { layers: 8, width: 384, heads: 6, sequenceLength: SHORT },
  "70M": { layers: 3, width: 256, heads: 4, sequenceLength: LONG },
  /** the official implementation's reference and proxy, but for its rotary positions */
  "120M": { layers: 12, width: 768, heads: 12, sequenceLength: LONG },
  "150M": { layers: 6, width: 512, heads: 8, sequenceLength: LONG },
  "280M": { layers: 12, width: 768, heads: 12, sequenceLength: LONG },
  "510M": { layers: 12, width: 1024, heads: 16, innerWidth: 8192, sequenceLength: LONG },
  "760M": { layers: 12, width: 1280, heads: 20, innerWidth: 8192, sequenceLength: LONG },
  "1B": { layers: 16, width: 2048, heads: 32, sequenceLength: LONG },
} as const satisfies Readonly<Record<string, Omit<ModelConfig, "architecture" | "vocabularySize">>>;

export const PRESET_NAMES = Object.keys(PRESETS) as [PresetName, ...PresetName[]];
