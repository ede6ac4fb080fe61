/**
 * The stages that learn domain weights, bound to a pipeline: tokenize, reference and proxy of every training that it asks
 * for, and mixture where there are several. How their inputs follow from settings and earlier outputs, like bindings.ts.
 */
import { needsReference } from "../mixture/objective-settings.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import type { DiscoverOutput } from "../stages/discover/contract.ts";
import type { MixtureInput, MixtureOutput } from "../stages/mixture/contract.ts";
import { mixture } from "../stages/mixture/run.ts";
import type { ProxyInput, ProxyOutput } from "../stages/proxy/contract.ts";
import { proxy } from "../stages/proxy/run.ts";
import type { ReferenceInput, ReferenceOutput, TrainingInput } from "../stages/reference/contract.ts";
import { reference } from "../stages/reference/run.ts";
import type { TokenizeInput, TokenizeOutput } from "../stages/tokenize/contract.ts";
import { tokenize } from "../stages/tokenize/run.ts";
import { completeModel } from "../trainer/model.ts";
import { domainRuleOf, heldOutRule } from "./corpus-settings.ts";
import { resolveWeights } from "./domain-settings.ts";
import type { Prepared } from "./prepare.ts";
import {
  areSettled,
  instanceName,
  isReplicated,
  mostRounds,
  type Replicate,
  replicatesOf,
  roundWeights,
  seedOf,
  seedsOf,
} from "./replicates.ts";
import type { BoundStage, Outputs } from "./runner.ts";
import type { PipelineFile } from "./schema.ts";
import { refuseChangedShards } from "./unchanged-shards.ts";

/** In the order of a run; those of a kind with the first training's first. */
export interface TrainingStages {
  readonly tokenize: readonly BoundStage[];
  /** empty where the objective needs none */
  readonly reference: readonly BoundStage[];
  /** the first training's, all stages of the other trainings, and what puts them together */
  readonly proxy: readonly BoundStage[];
}

/** Has every training a reference, trained here or given? */
export function hasReference({ config }: Pick<Prepared["pipeline"], "config">): boolean {
  return needsReference(config.train.proxy.objective);
}

export function bindTraining(prepared: Prepared): TrainingStages {
  const { pipeline } = prepared;
  const { train } = pipeline.config;
  const [first, ...others] = replicatesOf(train).map((replicate) => bindReplicate(prepared, replicate));
  const combine: BoundStage = { stage: mixture, input: (outputs) => mixtureInputOf(prepared, outputs) };
  return {
    tokenize: [first!.tokenize],
    reference: first!.reference,
    proxy: [
      first!.proxy,
      ...others.flatMap((other) => [other.tokenize, ...other.reference, other.proxy]),
      ...(isReplicated(train) ? [combine] : []),
    ],
  };
}

/** The result of all trainings; undefined where they were not run. */
export function learnedOf({ config }: Prepared["pipeline"], outputs: Outputs): Record<string, number> | undefined {
  const name = isReplicated(config.train) ? mixture.name : proxy.name;
  return (outputs[name] as MixtureOutput | ProxyOutput | undefined)?.weights;
}

/** The stages of one training. */
function bindReplicate(prepared: Prepared, replicate: Replicate) {
  const name = (stage: string) => instanceName(stage, replicate);
  const { rounds } = prepared.pipeline.config.train;
  // A given model is the same for every seed, and so are the documents that it is evaluated on.
  const own = prepared.externalReference === null || replicate.seed === 1;
  const referenceName = own ? name("reference") : "reference";
  const others = { tokenize: name("tokenize"), reference: referenceName };
  const bind = (stage: BoundStage["stage"], input: BoundStage["input"]): BoundStage => ({
    stage,
    name: name(stage.name),
    others,
    input,
    // The first round is never left out, so what reads its tokens can begin early.
    ...(replicate.round > 1 && typeof rounds !== "number" && { skip: isSettled }),
  });
  const isSettled = (outputs: Outputs): boolean => {
    const { weights } = referenceWeights(prepared, outputs, 1);
    return areSettled(prepared.pipeline.config.train, outputs, replicate.round, namesOf(outputs), weights);
  };
  const tokens = bind(tokenize, (outputs) => tokenizeInputOf(prepared, outputs, replicate));
  const bound = {
    tokenize: { ...tokens, confirm: refuseChangedShards },
    reference: bind(reference, (outputs) => referenceInputOf(prepared, outputs, replicate)),
    proxy: bind(proxy, (outputs) => proxyInputOf(prepared, outputs, replicate, referenceName)),
  };
  return { ...bound, reference: hasReference(prepared.pipeline) && own ? [bound.reference] : [] };
}

function namesOf(outputs: Outputs): string[] {
  return (outputs.count as CountOutput).domains.map((domain) => domain.name);
}

/** What a round's reference is trained on: the baseline weights, and then the weights of the round before. */
function referenceWeights(prepared: Prepared, outputs: Outputs, round: number): { weights: number[]; from: string } {
  if (round === 1)
    return resolveWeights(prepared.referenceWeights, outputs.count as CountOutput, prepared.tokenizer.name);
  const { train } = prepared.pipeline.config;
  return { weights: [...roundWeights(train, outputs, round - 1, namesOf(outputs))], from: `round ${round - 1}` };
}

/** Algorithm 1 samples the domains uniformly for the proxy; the official code as for the reference. */
function proxyShares(kind: "uniform" | "reference", weights: readonly number[]): number[] {
  return weights.map((weight) => (kind === "uniform" ? 1 / weights.length : weight));
}

/** Tokens that the models of one training draw from each domain. @param weights of the reference */
export function trainingTokens(prepared: Prepared, weights: readonly number[]) {
  const { train } = prepared.pipeline.config;
  const perStep = train.batchSize * train.model.sequenceLength;
  const trained = prepared.externalReference === null && hasReference(prepared.pipeline);
  return {
    reference: weights.map((weight) => (trained ? Math.ceil(weight * train.reference.steps * perStep) : 0)),
    // At least a token, which comes to a sequence, also of a domain that is never drawn: it still has a store.
    proxy: proxyShares(train.proxy.sampling, weights).map((share) =>
      Math.max(1, Math.ceil(share * train.proxy.steps * perStep)),
    ),
  };
}

function tokenizeInputOf(prepared: Prepared, outputs: Outputs, replicate: Replicate): TokenizeInput {
  const { seed, train } = prepared.pipeline.config;
  const { sequenceLength } = train.model;
  const needed = trainingTokens(prepared, referenceWeights(prepared, outputs, replicate.round).weights);
  return tokenizeInputFor(prepared, outputs, {
    sequenceLength,
    referenceTokens: needed.reference,
    proxyTokens: needed.proxy,
    evaluationTokens: train.evaluationSequences * sequenceLength + 1,
    seed: seedOf(seed, replicate),
  });
}

type TokenNeeds = Pick<
  TokenizeInput,
  "sequenceLength" | "referenceTokens" | "proxyTokens" | "evaluationTokens" | "seed"
>;

/** Of the pipeline's corpus, what some models need. */
export function tokenizeInputFor(prepared: Prepared, outputs: Outputs, needs: TokenNeeds): TokenizeInput {
  const { config } = prepared.pipeline;
  const discovered = outputs.discover as DiscoverOutput;
  const counted = outputs.count as CountOutput;
  return {
    root: discovered.root,
    shards: counted.shards,
    domains: namesOf(outputs),
    domainRule: domainRuleOf(prepared.pipeline, discovered),
    tokenizer: prepared.modelTokenizer,
    textColumn: config.data.textColumn,
    domainColumn: config.data.domainColumn ?? null,
    transform: prepared.transform,
    onBadDocument: config.data.onBadDocument,
    heldOut: heldOutRule(prepared.pipeline),
    vocabulary: config.train.vocabulary,
    heldOutSeed: config.seed,
    ...needs,
  };
}

function trainingInputOf(prepared: Prepared, outputs: Outputs, replicate: Replicate, steps: number): TrainingInput {
  const { seed, train } = prepared.pipeline.config;
  const tokens = outputs[instanceName("tokenize", replicate)] as TokenizeOutput;
  return trainingInputFor(tokens, { ...train, steps, seed: seedOf(seed, replicate) });
}

type TrainingNeeds = Pick<
  PipelineFile["train"],
  "model" | "optimizer" | "batchSize" | "precision" | "evaluationSequences"
> & { readonly steps: number; readonly seed: number };

/** Settings of a training as its stage takes them. */
export function trainingInputFor(tokens: TokenizeOutput, settings: TrainingNeeds): TrainingInput {
  const { model, optimizer, steps, batchSize, precision, evaluationSequences, seed } = settings;
  const vocabularySize = tokens.vocabulary?.size ?? tokens.tokenizer.vocabularySize;
  return {
    tokens,
    model: completeModel({ ...model, vocabularySize }),
    optimizer: optimizerOf(optimizer, Math.round(optimizer.warmup * steps)),
    steps,
    batchSize,
    precision,
    evaluationSequences,
    seed,
  };
}

export function optimizerOf(
  settings: PipelineFile["train"]["optimizer"],
  warmupSteps: number,
): TrainingInput["optimizer"] {
  const { warmup: _, ...optimizer } = settings;
  return optimizer.name === "adafactor" ? { ...optimizer, warmupSteps } : { ...optimizer, name: "adamw", warmupSteps };
}

function referenceInputOf(prepared: Prepared, outputs: Outputs, replicate: Replicate): ReferenceInput {
  const { train } = prepared.pipeline.config;
  const { externalReference: external } = prepared;
  const { weights, from } = referenceWeights(prepared, outputs, replicate.round);
  return {
    ...trainingInputOf(prepared, outputs, replicate, train.reference.steps),
    weights,
    weightsFrom: from,
    external: external && { path: external.path, sha256: external.sha256 },
  };
}

function proxyInputOf(prepared: Prepared, outputs: Outputs, replicate: Replicate, referenceName: string): ProxyInput {
  const { proxy: settings, batchSize, microBatch, accumulation } = prepared.pipeline.config.train;
  const counted = outputs.count as CountOutput;
  const { weights } = referenceWeights(prepared, outputs, replicate.round);
  return {
    ...trainingInputOf(prepared, outputs, replicate, settings.steps),
    reference: (outputs[referenceName] as ReferenceOutput | undefined)?.model ?? null,
    objective: settings.objective,
    start: proxyShares(settings.start, weights),
    sampling: proxyShares(settings.sampling, weights),
    referenceWeights: weights,
    sizes: counted.domains.map((domain) => domain.tokens[prepared.tokenizer.name] ?? 0),
    evaluateEvery: settings.evaluateEvery ?? null,
    trace: settings.trace,
    accumulation: accumulation === "stale" ? { stale: microBatch ?? batchSize } : "exact",
    settle: settings.settle ?? null,
  };
}

function mixtureInputOf(prepared: Prepared, outputs: Outputs): MixtureInput {
  const { seed, train } = prepared.pipeline.config;
  const domains = namesOf(outputs);
  const done = Array.from({ length: mostRounds(train) }, (_, index) => index + 1).filter(
    (round) => instanceName("proxy", { round, seed: 1 }) in outputs,
  );
  return {
    domains,
    reference: referenceWeights(prepared, outputs, 1).weights,
    tolerance: typeof train.rounds === "number" ? null : train.rounds.tolerance,
    rounds: done.map((round) =>
      seedsOf(train, round).map((replicate) => {
        const stage = instanceName("proxy", replicate);
        const { weights } = outputs[stage] as ProxyOutput;
        return { stage, seed: seedOf(seed, replicate), weights: domains.map((name) => weights[name]!) };
      }),
    ),
  };
}
