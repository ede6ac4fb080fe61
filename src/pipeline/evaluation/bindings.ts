/**
 * The stages of an evaluation: what learns the weights, where learned ones are compared; token stores that are large enough
 * for whichever mixture draws most of a domain; a main model for each mixture and seed; the report.
 */
import { DoremiError } from "../../lib/errors.ts";
import type { CountOutput } from "../../stages/count/contract.ts";
import type { EvaluateInput } from "../../stages/evaluate/contract.ts";
import { evaluate } from "../../stages/evaluate/run.ts";
import type { MainInput, MainOutput } from "../../stages/main/contract.ts";
import { main } from "../../stages/main/run.ts";
import type { TokenizeInput, TokenizeOutput } from "../../stages/tokenize/contract.ts";
import { tokenize } from "../../stages/tokenize/run.ts";
import { bindStages, type StageName } from "../bindings.ts";
import { resolveWeights } from "../domain-settings.ts";
import type { Pipeline } from "../load.ts";
import { type Prepared, prepare, readWeights } from "../prepare.ts";
import type { BoundStage, Outputs } from "../runner.ts";
import { learnedOf, tokenizeInputFor, trainingInputFor } from "../training-bindings.ts";
import { refuseChangedShards } from "../unchanged-shards.ts";
import type { WeightsSource } from "../weights-source.ts";
import { type EvaluationSettings, evaluationSettings } from "./settings.ts";

export const TOKENIZE = "tokenize-main";

/** Held-out tokens in the stores for each that is evaluated, so that those come from many documents. */
const HELD_OUT_SPREAD = 16;

export interface PreparedEvaluation {
  readonly prepared: Prepared;
  readonly settings: EvaluationSettings;
  /** in the order of settings.mixtures */
  readonly sources: readonly WeightsSource[];
}

export async function prepareEvaluation(pipeline: Pipeline): Promise<PreparedEvaluation> {
  const settings = evaluationSettings(pipeline);
  const { config } = pipeline;
  // Where weights are capped by epochs of a budget, it is what the main models are trained on.
  const resample = { ...config.resample, budgetTokens: trainedTokens(settings) };
  const trained = { ...pipeline, config: { ...config, resample } };
  const sources: WeightsSource[] = [];
  for (const { weights, setting } of settings.mixtures) sources.push(await readWeights(trained, weights, setting));
  return { prepared: await prepare(pipeline, sources), settings, sources };
}

/** Of each main model. */
function trainedTokens({ steps, batchSize, model }: EvaluationSettings): number {
  return steps * batchSize * model.sequenceLength;
}

/** Weights of one mixture. */
interface Mixture {
  readonly name: string;
  readonly weights: readonly number[];
  readonly from: string;
  readonly notes: readonly string[];
  /** the first mixture of the same weights, which is the one that is trained */
  readonly trainedAs: string;
}

/** Learned weights have to be learned first. */
export function stagesBefore({ mixtures }: EvaluationSettings): StageName {
  return mixtures.some(({ weights }) => weights === "learned") ? "proxy" : "count";
}

export function instanceOf(mixture: string, seedIndex: number): string {
  return `main-${mixture}-seed-${seedIndex + 1}`;
}

export function bindEvaluation(evaluation: PreparedEvaluation): BoundStage[] {
  const { prepared, settings } = evaluation;
  const trainings = settings.mixtures.flatMap(({ name }) =>
    settings.seeds.map(
      (seed, index): BoundStage => ({
        stage: main,
        name: instanceOf(name, index),
        others: { tokenize: TOKENIZE },
        skip: (outputs) => mixtureOf(evaluation, outputs, name).trainedAs !== name,
        input: (outputs) => mainInputOf(evaluation, outputs, name, seed),
      }),
    ),
  );
  return [
    ...bindStages(prepared, stagesBefore(settings)),
    {
      stage: tokenize,
      name: TOKENIZE,
      input: (outputs) => tokenizeInputOf(evaluation, outputs),
      confirm: refuseChangedShards,
      check: async (outputs) => refuseNothingHeldOut(outputs[TOKENIZE] as TokenizeOutput),
    },
    ...trainings,
    { stage: evaluate, input: (outputs) => evaluateInputOf(evaluation, outputs) },
  ];
}

function refuseNothingHeldOut({ domains }: TokenizeOutput): void {
  if (domains.some(({ heldOut }) => heldOut)) return;
  throw new DoremiError(
    "bad-configuration",
    "nothing-held-out",
    "evaluate: needs held-out documents to compare models on, and no domain has any; set data.heldOut",
  );
}

function mixturesOf({ prepared, settings, sources }: PreparedEvaluation, outputs: Outputs): Mixture[] {
  const counted = outputs.count as CountOutput;
  const learned = learnedOf(prepared.pipeline, outputs);
  const mixtures: Mixture[] = [];
  for (const [index, { name }] of settings.mixtures.entries()) {
    const { weights, from, notes } = resolveWeights(sources[index]!, counted, prepared.tokenizer.name, learned);
    const same = mixtures.find((other) => other.weights.every((weight, k) => weight === weights[k]));
    mixtures.push({ name, weights, from, notes, trainedAs: same?.trainedAs ?? name });
  }
  return mixtures;
}

function mixtureOf(evaluation: PreparedEvaluation, outputs: Outputs, name: string): Mixture {
  return mixturesOf(evaluation, outputs).find((mixture) => mixture.name === name)!;
}

function tokenizeInputOf(evaluation: PreparedEvaluation, outputs: Outputs): TokenizeInput {
  const { prepared, settings } = evaluation;
  const { model, evaluationSequences } = settings;
  const drawn = trainedTokens(settings);
  const mixtures = mixturesOf(evaluation, outputs);
  const K = mixtures[0]!.weights.length;
  return tokenizeInputFor(prepared, outputs, {
    sequenceLength: model.sequenceLength,
    // At least a token, which comes to a sequence, also of a domain that is never drawn: it still has a store.
    referenceTokens: Array.from({ length: K }, (_, k) =>
      Math.max(1, ...mixtures.map(({ weights }) => Math.ceil(weights[k]! * drawn))),
    ),
    proxyTokens: new Array<number>(K).fill(0),
    evaluationTokens: HELD_OUT_SPREAD * evaluationSequences * model.sequenceLength + 1,
    seed: prepared.pipeline.config.seed,
  });
}

function mainInputOf(evaluation: PreparedEvaluation, outputs: Outputs, name: string, seed: number): MainInput {
  const { settings, prepared } = evaluation;
  const { looks, ...training } = settings;
  const { precision } = prepared.pipeline.config.train;
  return {
    ...trainingInputFor(outputs[TOKENIZE] as TokenizeOutput, { ...training, precision, seed }),
    weights: [...mixtureOf(evaluation, outputs, name).weights],
    looks,
  };
}

function evaluateInputOf(evaluation: PreparedEvaluation, outputs: Outputs): EvaluateInput {
  const { prepared, settings } = evaluation;
  const { domains } = outputs.count as CountOutput;
  const tokens = domains.map((domain) => domain.tokens[prepared.tokenizer.name] ?? 0);
  const total = tokens.reduce((sum, count) => sum + count, 0);
  const { model, steps, batchSize } = mainInputOf(evaluation, outputs, settings.mixtures[0]!.name, settings.seeds[0]!);
  return {
    pipeline: prepared.pipeline.config.name,
    domains: domains.map(({ name }, k) => ({ name, share: total === 0 ? 0 : tokens[k]! / total })),
    model,
    steps,
    batchSize,
    mixtures: mixturesOf(evaluation, outputs).map(({ name, from, weights, notes, trainedAs }) => ({
      name,
      from,
      weights: [...weights],
      epochs: epochsOf(evaluation, outputs, weights),
      sameAs: trainedAs === name ? null : trainedAs,
      notes: [...notes],
      runs: settings.seeds.map((_, index) => runOf(outputs[instanceOf(trainedAs, index)] as MainOutput)),
    })),
  };
}

function runOf({ seed, steps, trainedTokens, documents, curve, warnings }: MainOutput) {
  return { seed, steps, trainedTokens, documents, curve, warnings };
}

/**
 * How often each domain's text is read. A store that is drawn from more than once holds the whole domain; another may hold
 * a part of it.
 */
function epochsOf({ prepared, settings }: PreparedEvaluation, outputs: Outputs, weights: readonly number[]): number[] {
  const { domains } = outputs.count as CountOutput;
  const { domains: stores } = outputs[TOKENIZE] as TokenizeOutput;
  return weights.map((weight, k) => {
    const drawn = weight * trainedTokens(settings);
    const stored = stores[k]!.reference.tokens;
    return drawn / Math.max(stored, drawn > stored ? 0 : domains[k]!.tokens[prepared.modelTokenizer.name]!);
  });
}
