/**
 * The rules that settings of the model and the optimizer must meet. `train` refuses by them, and so does a pipeline file
 * when it is read: hours before, where counting comes first. No tensors here.
 */
import { DoremiError } from "../lib/errors.ts";
import type { AdafactorConfig, AdamWConfig, ModelConfig } from "./contract.ts";

export interface SettingFault<Setting extends string = string> {
  readonly setting: Setting;
  /** what it must be or do, as in “must be > 0” */
  readonly rule: string;
  readonly found: unknown;
  readonly remedy?: string;
}

/** A configuration, without the vocabulary where no tokenizer is known yet. */
export type ModelSettings = Omit<ModelConfig, "vocabularySize"> & Partial<Pick<ModelConfig, "vocabularySize">>;

const ONLY_LLAMA = ["keyValueHeads", "ropeTheta", "ropeScaling"] as const;

/** Of any model that was ever trained, several times over: each layer is a part of the graph that even a plan goes through. */
const MAX_LAYERS = 1000;

export function modelFaults(config: ModelSettings): SettingFault<keyof ModelConfig>[] {
  const { architecture, vocabularySize = 1, sequenceLength, width, layers, heads } = config;
  const foreign = architecture === "llama" ? (["activation"] as const) : ONLY_LLAMA;
  const misplaced = foreign.filter((setting) => (config[setting] ?? null) !== null);
  const { keyValueHeads = heads, innerWidth = 1 } = config;
  const sizes = { vocabularySize, sequenceLength, width, layers, heads, keyValueHeads, innerWidth };
  const faults: SettingFault<keyof ModelConfig>[] = [
    ...misplaced.map((setting) => ({ setting, rule: `be left out of a ${architecture}`, found: config[setting] })),
    ...(Object.keys(sizes) as (keyof typeof sizes)[])
      .filter((setting) => !(Number.isSafeInteger(sizes[setting]) && sizes[setting] >= 1))
      .map((setting) => ({ setting, rule: "be an integer ≥ 1", found: sizes[setting] })),
    ...(layers > MAX_LAYERS ? [{ setting: "layers" as const, rule: `be at most ${MAX_LAYERS}`, found: layers }] : []),
  ];
  if (faults.length > 0) return faults;
  const closest = (whole: number, near: number) => `use ${closestDivisor(whole, near)} heads`;
  if (architecture === "gpt2" && width % heads !== 0) {
    const remedy = closest(width, heads);
    faults.push({ setting: "heads", rule: `divide width ${width}`, found: heads, remedy });
  }
  if (architecture === "llama" && width % (2 * heads) !== 0) {
    const rule = `divide width ${width} into heads of an even width, whose halves turn together`;
    const remedy = width % 2 === 0 ? closest(width / 2, heads) : "use an even width";
    faults.push({ setting: "heads", rule, found: heads, remedy });
  }
  if (heads % keyValueHeads !== 0) {
    const remedy = closest(heads, keyValueHeads);
    faults.push({ setting: "keyValueHeads", rule: `divide heads ${heads}`, found: keyValueHeads, remedy });
  }
  for (const setting of ["normEpsilon", "ropeTheta"] as const) {
    const value = config[setting];
    if (value !== undefined && !positive(value))
      faults.push({ setting, rule: "be > 0 as a 32-bit float", found: value });
  }
  const { ropeScaling } = config;
  if (
    ropeScaling &&
    !(Object.values(ropeScaling).every(positive) && ropeScaling.lowFrequencyFactor < ropeScaling.highFrequencyFactor)
  ) {
    const rule = "have numbers > 0, the low frequency factor below the high one";
    faults.push({ setting: "ropeScaling", rule, found: ropeScaling });
  }
  return faults;
}

/** Graphs compute in 32 bits: what is 0 or infinite there makes losses infinite, whatever it is in 64. */
function positive(value: number): boolean {
  return Math.fround(value) > 0 && Number.isFinite(Math.fround(value));
}

/** The lower of two as close. Each divisor up to the root has its partner above it: a width may be any number of a file. */
function closestDivisor(width: number, heads: number): number {
  let best = 1;
  const isCloser = (h: number) => {
    const [distance, least] = [Math.abs(h - heads), Math.abs(best - heads)];
    return distance < least || (distance === least && h < best);
  };
  for (let h = 1; h * h <= width; h++) {
    if (width % h !== 0) continue;
    for (const divisor of [h, width / h]) if (isCloser(divisor)) best = divisor;
  }
  return best;
}

/** As a pipeline file has it: without the warm-up's steps where the steps are not known yet, and AdamW without its name. */
type UnfinishedAdamW = Omit<AdamWConfig, "name" | "warmupSteps"> & {
  readonly name?: "adamw" | undefined;
  readonly warmupSteps?: number;
};
type UnfinishedAdafactor = Omit<AdafactorConfig, "warmupSteps"> & Partial<Pick<AdafactorConfig, "warmupSteps">>;

type OptimizerRule = [setting: string, holds: boolean, rule: string];

export function optimizerFaults(config: UnfinishedAdamW | UnfinishedAdafactor): SettingFault[] {
  const own = config.name === "adafactor" ? adafactorRules(config) : adamWRules(config);
  const found: Readonly<Record<string, unknown>> = { ...config };
  return [...scheduleRules(config), ...own]
    .filter(([, holds]) => !holds)
    .map(([setting, , rule]) => ({ setting, rule, found: found[setting] }));
}

function scheduleRules(config: UnfinishedAdamW | UnfinishedAdafactor): OptimizerRule[] {
  const { learningRate, finalLearningRate, warmupSteps = 0, decay, decayShare, decayShape } = config;
  const { weightDecay, clipNorm } = config;
  const wsd = decay === "wsd";
  const shape = wsd ? decayShape : decay;
  return [
    ["learningRate", positive(learningRate), "be > 0 as a 32-bit float"],
    ["finalLearningRate", finalLearningRate === 0 || positive(finalLearningRate), "be ≥ 0 as a 32-bit float"],
    ["finalLearningRate", shape !== "exponential" || finalLearningRate > 0, "be > 0 for exponential decay"],
    [
      "finalLearningRate",
      decay === "constant" || !(finalLearningRate > learningRate),
      `be at most learningRate ${learningRate}, for the rate falls, unless decay is constant`,
    ],
    ["warmupSteps", Number.isSafeInteger(warmupSteps) && warmupSteps >= 0, "be an integer ≥ 0"],
    ["decayShare", decayShare === undefined || wsd, "be left out unless decay is wsd"],
    ["decayShare", !wsd || decayShare === undefined || (decayShare > 0 && decayShare <= 1), "be in (0, 1]"],
    ["decayShape", decayShape === undefined || wsd, "be left out unless decay is wsd"],
    ["weightDecay", weightDecay === 0 || positive(weightDecay), "be ≥ 0 as a 32-bit float"],
    ["clipNorm", clipNorm >= 0, "be ≥ 0 (0 = off)"],
  ];
}

function adamWRules({ beta1, beta2, epsilon }: UnfinishedAdamW): OptimizerRule[] {
  return [
    ["beta1", beta1 >= 0 && beta1 < 1, "be in [0, 1)"],
    ["beta2", beta2 >= 0 && beta2 < 1, "be in [0, 1)"],
    ["epsilon", positive(epsilon), "be > 0 as a 32-bit float"],
  ];
}

function adafactorRules(config: UnfinishedAdafactor): OptimizerRule[] {
  const { beta1, decayRate, clipThreshold, epsilon1, epsilon2 } = config;
  return [
    ["beta1", beta1 === null || (beta1 >= 0 && beta1 < 1), "be null or in [0, 1)"],
    ["decayRate", decayRate > 0 && decayRate <= 1, "be in (0, 1]"],
    ["clipThreshold", positive(clipThreshold), "be > 0 as a 32-bit float"],
    // Its square root is divided by, and that must be finite.
    ["epsilon1", epsilon1 >= 2 ** -126 && positive(epsilon1), "be ≥ 2^-126, the least normal 32-bit float"],
    ["epsilon2", positive(epsilon2), "be > 0 as a 32-bit float"],
  ];
}

/** @throws DoremiError bad-configuration, by the first of the faults */
export function refuseFaults(who: "model" | "optimizer", faults: readonly SettingFault[]): void {
  const [fault] = faults;
  if (!fault) return;
  const code = who === "model" ? "model-config" : "optimizer-config";
  throw new DoremiError("bad-configuration", code, `${who}: ${fault.setting} ${describeFault(fault)}`);
}

/** “must be > 0, found -1”, to follow the setting's name. */
export function describeFault({ rule, found, remedy }: SettingFault): string {
  return `must ${rule}, found ${shownValue(found) ?? "nothing"}${remedy === undefined ? "" : `; ${remedy}`}`;
}

/** A value for a message, as JSON but for numbers that JSON has not; undefined for undefined. */
export function shownValue(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return JSON.stringify(value, (_, inner) =>
    typeof inner === "number" && !Number.isFinite(inner) ? String(inner) : inner,
  );
}
