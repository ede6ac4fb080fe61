/**
 * What a pipeline file refers to, found and fingerprinted before anything runs: tokenizers, plug-ins, weight files, a
 * model from outside. So that stage inputs are plain data, and a missing piece is reported at once.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DoremiError, type PlainError, toPlainError } from "../lib/errors.ts";
import { sha256File } from "../lib/hash.ts";
import { importModule } from "../lib/import-module.ts";
import type { TransformReference } from "../stages/count/contract.ts";
import type { Stage } from "../stages/stage.ts";
import { resolveTokenizer } from "../tokenizer/resolve.ts";
import type { TokenizerDescriptor } from "../tokenizer/tokenizer.ts";
import type { CompleteModel } from "../trainer/model.ts";
import { checkModel, modelSha256 } from "../trainer/model-folder.ts";
import { checkDomainNames, checkUnit, type NamedSettings, namedDomains, weightUnit } from "./domain-settings.ts";
import { atSetting, fromBase, type Pipeline } from "./load.ts";
import type { WeightsSetting } from "./schema/weights.ts";
import { readWeights as readWeightsSource, type WeightsSource } from "./weights-source.ts";

export interface UserStage {
  // biome-ignore lint/suspicious/noExplicitAny: a user's stage brings its own schemas
  readonly stage: Stage<any, any>;
  readonly after: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** of the module's file, so that a changed module runs again */
  readonly sha256: string;
}

export interface Prepared {
  readonly pipeline: Pipeline;
  readonly tokenizer: TokenizerDescriptor;
  readonly modelTokenizer: TokenizerDescriptor;
  /** all that count counts with, `tokenizer` first */
  readonly countTokenizers: readonly TokenizerDescriptor[];
  readonly transform: TransformReference | null;
  readonly referenceWeights: WeightsSource;
  readonly resampleWeights: WeightsSource;
  /** of mixtures that are compared; a run compares none */
  readonly comparedWeights: readonly WeightsSource[];
  /** `model` as it is stored, which may be another architecture than that of the proxy */
  readonly externalReference: { readonly path: string; readonly sha256: string; readonly model: CompleteModel } | null;
  readonly userStages: readonly UserStage[];
}

/**
 * @param comparedWeights of mixtures that are to be compared
 * @param onMissing told of a model that is not there, which is then left out: for a plan. Default: it is an error
 */
export async function prepare(
  pipeline: Pipeline,
  comparedWeights: readonly WeightsSource[] = [],
  onMissing?: (error: PlainError) => void,
): Promise<Prepared> {
  const { config, base } = pipeline;
  const resolve = (name: string) => resolveTokenizer(name, base, config.specialTokens);
  const tokenizer = await resolve(config.tokenizer);
  const modelTokenizer = config.train.tokenizer === undefined ? tokenizer : await resolve(config.train.tokenizer);
  const further = await Promise.all(config.count.tokenizers.map(resolve));
  const prepared: Prepared = {
    pipeline,
    tokenizer,
    modelTokenizer,
    countTokenizers: distinctTokenizers([tokenizer, modelTokenizer, ...further]),
    transform: await prepareTransform(pipeline),
    referenceWeights: await readWeights(pipeline, config.train.reference.weights, "train.reference.weights"),
    resampleWeights: await readWeights(pipeline, config.resample.weights, "resample.weights"),
    comparedWeights,
    externalReference: await prepareExternal(pipeline, modelTokenizer).catch((error: unknown) => {
      const plain = toPlainError(error);
      if (!onMissing || plain.kind !== "missing-input") throw error;
      onMissing(plain);
      return null;
    }),
    userStages: await Promise.all(config.stages.map((entry) => loadUserStage(pipeline, entry))),
  };
  checkUnit(weightUnit(config.resample.unit), prepared.resampleWeights);
  const domains = namedDomains(config);
  if (domains) checkDomainNames(namedSettings(prepared), domains);
  return prepared;
}

/** All settings that name domains. */
export function namedSettings({
  pipeline,
  referenceWeights,
  resampleWeights,
  comparedWeights,
}: Prepared): NamedSettings {
  return {
    pipeline,
    weights: [referenceWeights, resampleWeights, ...comparedWeights],
    maxEpochs: pipeline.config.resample.maxEpochs,
    minShare: pipeline.config.resample.minShare,
    objective: pipeline.config.train.proxy.objective,
  };
}

/** Each vocabulary once; two that differ may not share a name, because results are tables by name. */
export function distinctTokenizers(all: readonly TokenizerDescriptor[]): TokenizerDescriptor[] {
  const byName = new Map<string, TokenizerDescriptor>();
  for (const tokenizer of all) {
    const other = byName.get(tokenizer.name);
    if (other && other.fingerprint !== tokenizer.fingerprint) {
      throw new DoremiError(
        "bad-configuration",
        "tokenizer-names",
        `two tokenizers are called “${tokenizer.name}”; rename one of the files, results are told apart by this name`,
      );
    }
    byName.set(tokenizer.name, tokenizer);
  }
  return [...byName.values()];
}

async function prepareTransform(pipeline: Pipeline): Promise<TransformReference | null> {
  const { transform } = pipeline.config.data;
  if (!transform) return null;
  const module = fromBase(pipeline, transform.module);
  return {
    module,
    sha256: await hashModule(module, "data.transform"),
    columns: transform.columns,
    options: transform.options,
  };
}

async function hashModule(module: string, setting: string): Promise<string> {
  return sha256File(module).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new DoremiError("missing-input", "missing-file", `${module}: no such module; check ${setting}`, {
      file: module,
    });
  });
}

export function readWeights(
  pipeline: Pipeline,
  weights: WeightsSetting | "learned",
  setting: string,
): Promise<WeightsSource> {
  const { seed, resample } = pipeline.config;
  const resolve = (path: string) => fromBase(pipeline, path);
  return readWeightsSource(weights, { setting, resolve, seed, budgetTokens: resample.budgetTokens }).catch(
    (error: unknown) => {
      throw atSetting(pipeline, setting, error);
    },
  );
}

async function prepareExternal(
  pipeline: Pipeline,
  { vocabularySize }: TokenizerDescriptor,
): Promise<Prepared["externalReference"]> {
  const { model, reference } = pipeline.config.train;
  if (reference.model === undefined) return null;
  const path = fromBase(pipeline, reference.model);
  try {
    const stored = await checkModel(path, { vocabularySize, sequenceLength: model.sequenceLength });
    return { path, sha256: await modelSha256(path), model: stored };
  } catch (error) {
    throw atSetting(pipeline, "train.reference.model", await withModelNearby(error, path));
  }
}

/** Where a model is in a run's output folder, or in its stage's. */
const MODEL_PLACES = ["reference/model", "model"];

/** A missing model's error; where a run was named in its place, with the model that is in it. */
async function withModelNearby(error: unknown, path: string): Promise<unknown> {
  const { kind, code, message, file } = toPlainError(error);
  if (code !== "missing-file") return error;
  for (const place of MODEL_PLACES) {
    const near = join(path, place);
    if (!(await stat(join(near, "config.json")).catch(() => null))) continue;
    return new DoremiError(kind, code, `${message}; did you mean “${near}”?`, file === undefined ? {} : { file });
  }
  return error;
}

async function loadUserStage(pipeline: Pipeline, entry: Pipeline["config"]["stages"][number]): Promise<UserStage> {
  const module = fromBase(pipeline, entry.module);
  const hash = await hashModule(module, "stages");
  const exports = (await importModule(module, hash)) as { default?: Partial<Stage<unknown, unknown>> };
  const stage = exports.default;
  const whole =
    stage &&
    typeof stage.name === "string" &&
    typeof stage.version === "number" &&
    typeof stage.run === "function" &&
    stage.input &&
    stage.output;
  if (!whole) {
    throw new DoremiError(
      "bad-configuration",
      "bad-plugin",
      `stage ${module}: its default export must be a Stage { name, version, input, output, run }; see the type Stage of this package`,
      { file: module },
    );
  }
  return { stage: stage as Stage<unknown, unknown>, after: entry.after, options: entry.options, sha256: hash };
}
