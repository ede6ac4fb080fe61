/** What `doremi evaluate` is to train and compare, with every default filled in from the rest of the pipeline. Pure. */
import { basename } from "node:path";
import { DoremiError } from "../../lib/errors.ts";
import { EVALUATED_PER_LOOK } from "../../stages/main/curve.ts";
import type { Pipeline } from "../load.ts";
import { seedOf } from "../replicates.ts";
import type { PipelineFile } from "../schema.ts";

type Evaluate = PipelineFile["evaluate"];
type MixtureSetting = Evaluate["baseline"];
type NamedMixture = Extract<MixtureSetting, { weights: unknown }>;
type AnyWeights = NamedMixture["weights"];

export interface MixtureToCompare {
  /** in tables and folder names */
  readonly name: string;
  readonly weights: AnyWeights;
  /** where the file says it */
  readonly setting: string;
}

export interface EvaluationSettings {
  readonly model: PipelineFile["train"]["model"];
  readonly optimizer: PipelineFile["train"]["optimizer"];
  readonly steps: number;
  readonly batchSize: number;
  /** of the trainings of each mixture */
  readonly seeds: readonly number[];
  readonly evaluationSequences: number;
  readonly looks: { readonly every: number; readonly sequences: number };
  /** the first one is the baseline */
  readonly mixtures: readonly MixtureToCompare[];
}

/** Looks of a training at its held-out loss, where the file does not say. */
const LOOKS = 20;

/** @throws DoremiError bad-setting, mixture-names */
export function evaluationSettings({ config }: Pipeline): EvaluationSettings {
  const { evaluate, train, seed } = config;
  const steps = evaluate.steps ?? train.proxy.steps;
  const batchSize = evaluate.batchSize ?? train.batchSize;
  const { microBatch } = train;
  if (microBatch !== undefined && batchSize % microBatch !== 0) {
    throw new DoremiError(
      "bad-configuration",
      "bad-setting",
      `evaluate.batchSize: must be a multiple of train.microBatch, ${microBatch}, found ${batchSize}`,
    );
  }
  const sequences = Math.ceil(evaluate.evaluationSequences / EVALUATED_PER_LOOK);
  const all = [evaluate.baseline, ...evaluate.candidates];
  return {
    model: evaluate.model ?? train.model,
    optimizer: evaluate.optimizer ?? train.optimizer,
    steps,
    batchSize,
    seeds: Array.from({ length: evaluate.seeds }, (_, index) => seedOf(seed, { seed: index + 1 })),
    evaluationSequences: sequences * EVALUATED_PER_LOOK,
    looks: { every: evaluate.evaluateEvery ?? Math.ceil(steps / LOOKS), sequences },
    mixtures: checkNames(
      all.map((mixture, index) => ({
        ...named(mixture),
        setting: index === 0 ? "evaluate.baseline" : `evaluate.candidates[${index - 1}]`,
      })),
    ),
  };
}

function named(mixture: MixtureSetting): Pick<MixtureToCompare, "name" | "weights"> {
  if (isNamed(mixture)) return mixture;
  return { name: nameOf(mixture), weights: mixture };
}

function isNamed(mixture: MixtureSetting): mixture is NamedMixture {
  return typeof mixture === "object" && "name" in mixture && typeof mixture.name === "string";
}

/** Of weights that nobody named: the word, or the name of the file or of the method. */
function nameOf(weights: AnyWeights): string {
  if (typeof weights === "string") return basename(weights, ".json");
  const [[method, setting] = ["given", undefined], ...others] = Object.entries(weights);
  if (others.length > 0) return "given"; // a table
  if (typeof setting === "object") return method;
  return method === "temperature" || method === "exponent" ? `${method}-${setting}` : "given";
}

/** What stands in a folder's name as it is. */
const PLAIN = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;

function checkNames(mixtures: readonly MixtureToCompare[]): readonly MixtureToCompare[] {
  for (const [index, { name, setting }] of mixtures.entries()) {
    const other = mixtures.slice(0, index).find((before) => before.name === name);
    const fault = other
      ? `must have a name of its own, found “${name}”, which is ${other.setting} already`
      : PLAIN.test(name)
        ? undefined
        : `must have a name of letters, digits, . _ and -, found “${name}”`;
    if (fault === undefined) continue;
    throw new DoremiError(
      "bad-configuration",
      "mixture-names",
      `${setting}: ${fault}; give it one: { name: …, weights: … }`,
    );
  }
  return mixtures;
}
