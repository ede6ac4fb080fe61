/**
 * How each stage's input follows from the pipeline and from the outputs before it. Pure: everything that has to be
 * looked up stands in Prepared.
 */
import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { DoremiError } from "../lib/errors.ts";
import type { DomainRule } from "../manifest/domain-rule.ts";
import type { CountInput, CountOutput } from "../stages/count/contract.ts";
import { count } from "../stages/count/run.ts";
import type { DiscoverInput, DiscoverOutput } from "../stages/discover/contract.ts";
import { discover } from "../stages/discover/run.ts";
import type { EstimateInput } from "../stages/estimate/contract.ts";
import { estimate } from "../stages/estimate/run.ts";
import type { ProxyInput, ProxyOutput } from "../stages/proxy/contract.ts";
import { proxy } from "../stages/proxy/run.ts";
import type { ReferenceInput, ReferenceOutput, TrainingInput } from "../stages/reference/contract.ts";
import { reference } from "../stages/reference/run.ts";
import type { ResampleInput } from "../stages/resample/contract.ts";
import { resample } from "../stages/resample/run.ts";
import type { TokenizeInput, TokenizeOutput } from "../stages/tokenize/contract.ts";
import { tokenize } from "../stages/tokenize/run.ts";
import { completeModel } from "../trainer/model.ts";
import { checkBudget, checkDomainNames, epochCaps, namedDomains, resolveWeights } from "./domain-settings.ts";
import type { Pipeline } from "./load.ts";
import { namedSettings, type Prepared } from "./prepare.ts";
import type { BoundStage, Outputs } from "./runner.ts";
import type { PipelineFile } from "./schema.ts";

export const STAGE_NAMES = ["discover", "count", "tokenize", "reference", "proxy", "resample"] as const;
export type StageName = (typeof STAGE_NAMES)[number];

/** The stages that a run of this pipeline needs, in order, up to and including `until`. */
export function bindStages(prepared: Prepared, until: StageName = "resample"): BoundStage[] {
  const { config } = prepared.pipeline;
  const bound: Record<StageName, BoundStage> = {
    discover: {
      stage: discover,
      input: () => discoverInputOf(prepared),
      check: async (outputs) => {
        const { domains } = outputs.discover as DiscoverOutput;
        if (domains) checkDomainNames(namedSettings(prepared), domains);
      },
    },
    count: {
      stage: count,
      input: (outputs) => countInputOf(prepared, outputs.discover as DiscoverOutput),
      check: (outputs, folder) => checkCounted(prepared, until, outputs, folder.folderOf("count")),
    },
    tokenize: { stage: tokenize, input: (outputs) => tokenizeInputOf(prepared, outputs) },
    reference: { stage: reference, input: (outputs) => referenceInputOf(prepared, outputs) },
    proxy: { stage: proxy, input: (outputs) => proxyInputOf(prepared, outputs) },
    resample: { stage: resample, input: (outputs) => resampleInputOf(prepared, outputs) },
  };
  // Weights that are given need no training; unless somebody asks for the models themselves.
  const trained = until !== "resample" || config.resample.weights === "learned";
  const names = STAGE_NAMES.slice(0, STAGE_NAMES.indexOf(until) + 1).filter((name) => trained || !TRAINING.has(name));
  if (!trained) refuseAfterTraining(prepared.userStages);
  const taken = new Set<string>(STAGE_NAMES);
  return names.flatMap((name) => [
    bound[name],
    ...prepared.userStages
      .filter((entry) => entry.after === name)
      .map(({ stage, options, sha256 }): BoundStage => {
        if (taken.has(stage.name) || !/^[\w-]+$/.test(stage.name)) {
          throw new DoremiError(
            "bad-configuration",
            "bad-plugin",
            `stage “${stage.name}”: needs a name of its own, of letters, digits, - and _`,
          );
        }
        taken.add(stage.name);
        // The hash is part of the input so that a changed module runs again; its schema decides what it sees.
        const input = z
          .object({ options: z.unknown(), outputs: z.unknown(), module: z.string(), seed: z.number() })
          .transform((value) => value);
        return {
          stage: { ...stage, input, run: (value, context) => stage.run(stage.input.parse(value), context) },
          input: (outputs) => ({ options, outputs: withoutVersions(outputs), module: sha256, seed: config.seed }),
        };
      }),
  ]);
}

/** What counts show to be wrong, before models are trained in vain. */
async function checkCounted(prepared: Prepared, until: StageName, outputs: Outputs, folder: string): Promise<void> {
  const counted = outputs.count as CountOutput;
  const { pipeline, resampleWeights, tokenizer } = prepared;
  const names = counted.domains.map((domain) => domain.name);
  checkDomainNames(namedSettings(prepared), names);
  const { budgetTokens, maxEpochs } = pipeline.config.resample;
  // Where no weights are to be learned, resample comes next and says more.
  if (until !== "resample" || resampleWeights.kind !== "learned" || budgetTokens === "auto") return;
  const { seed } = pipeline.config;
  const domainRule = domainRuleOf(pipeline, outputs.discover as DiscoverOutput);
  const settings = {
    budgetTokens,
    maxEpochs,
    tokenizer: tokenizer.name,
    domainRule,
    heldOut: heldOutRule(pipeline),
    seed,
  };
  await checkBudget(settings, counted, folder);
}

const TRAINING: ReadonlySet<string> = new Set(["tokenize", "reference", "proxy"]);

/** A stage that waits for one that will not run would be left out without a word. */
function refuseAfterTraining(stages: Prepared["userStages"]): void {
  const left = stages.find((entry) => TRAINING.has(entry.after));
  if (!left) return;
  throw new DoremiError(
    "bad-configuration",
    "stage-after-training",
    `stage “${left.stage.name}”: is to run after ${left.after}, which does not run because resample.weights gives the weights; ` +
      "set its after to discover, count or resample, take it out, or set resample.weights: learned",
  );
}

/** A pattern as written, made absolute; characters of the base folder that globs would take as their own are escaped. */
export function absolutePattern(base: string, pattern: string): string {
  return isAbsolute(pattern) ? pattern : join(base.replace(/[*?[\]{}()!]/g, "\\$&"), pattern);
}

function discoverInputOf({ pipeline, transform }: Prepared): DiscoverInput {
  const { data } = pipeline.config;
  const absolute = (patterns: readonly string[]) => patterns.map((pattern) => absolutePattern(pipeline.base, pattern));
  const table = data.domains && !Array.isArray(data.domains) ? Object.entries(data.domains) : [];
  const sources: DiscoverInput["sources"] = table.map(([domain, value]) => ({
    domain,
    patterns: absolute(Array.isArray(value) ? value : value.files),
  }));
  if (data.files) sources.push({ domain: null, patterns: absolute(data.files) });
  if (sources.length === 0) {
    throw new DoremiError("bad-configuration", "no-data", "data: needs files, or domains as a table of name to files");
  }
  return {
    sources,
    heldOutPatterns: typeof data.heldOut === "object" && "files" in data.heldOut ? absolute(data.heldOut.files) : [],
    domains: domainRuleOf(pipeline),
    textColumn: data.textColumn,
    domainColumn: data.domainColumn ?? null,
    extraColumns: transform?.columns ?? [],
    onBadShard: data.onBadShard,
  };
}

/** As the settings have it; `found` adds what discover found out of the domains. */
function domainRuleOf({ config }: Pipeline, found?: DiscoverOutput): DomainRule {
  const { domainMap = null, onUnlistedDomain: unlisted } = config.data;
  return { map: domainMap, listed: found ? found.domains : namedDomains(config), unlisted };
}

function countInputOf(prepared: Prepared, discovered: DiscoverOutput): CountInput {
  const { data } = prepared.pipeline.config;
  return {
    root: discovered.root,
    domains: domainRuleOf(prepared.pipeline, discovered),
    shards: discovered.shards,
    tokenizers: [...prepared.countTokenizers],
    textColumn: data.textColumn,
    domainColumn: data.domainColumn ?? null,
    transform: prepared.transform,
    onBadShard: data.onBadShard,
  };
}

/** The stages of a sampled count. Its output is no count, so nothing comes after it. */
export function bindEstimate(prepared: Prepared, fraction: number): BoundStage[] {
  const { seed } = prepared.pipeline.config;
  const input = (outputs: Outputs): EstimateInput => ({
    ...countInputOf(prepared, outputs.discover as DiscoverOutput),
    fraction,
    seed,
  });
  return [...bindStages(prepared, "discover"), { stage: estimate, input }];
}

export function heldOutRule(pipeline: Pipeline): TokenizeInput["heldOut"] {
  const { heldOut } = pipeline.config.data;
  if (heldOut === "none") return { kind: "none" };
  return "files" in heldOut ? { kind: "files" } : { kind: "fraction", ...heldOut };
}

/** Tokens that the models' training draws from each domain. */
export function trainingTokens(prepared: Prepared, weights: readonly number[]) {
  const { train } = prepared.pipeline.config;
  const perStep = train.batchSize * train.model.sequenceLength;
  const external = prepared.externalReference !== null;
  return {
    reference: weights.map((weight) => (external ? 0 : Math.ceil(weight * train.reference.steps * perStep))),
    // Algorithm 1 samples domains uniformly for the proxy, whatever the weights.
    proxy: weights.map(() => Math.ceil((train.proxy.steps * perStep) / weights.length)),
  };
}

function tokenizeInputOf(prepared: Prepared, outputs: Outputs): TokenizeInput {
  const { config } = prepared.pipeline;
  const discovered = outputs.discover as DiscoverOutput;
  const counted = outputs.count as CountOutput;
  const { weights } = resolveWeights(prepared.referenceWeights, counted, prepared.tokenizer.name);
  const needed = trainingTokens(prepared, weights);
  return {
    root: discovered.root,
    shards: counted.shards,
    domains: counted.domains.map((domain) => domain.name),
    domainRule: domainRuleOf(prepared.pipeline, discovered),
    tokenizer: prepared.modelTokenizer,
    textColumn: config.data.textColumn,
    domainColumn: config.data.domainColumn ?? null,
    transform: prepared.transform,
    heldOut: heldOutRule(prepared.pipeline),
    sequenceLength: config.train.model.sequenceLength,
    referenceTokens: needed.reference,
    proxyTokens: needed.proxy,
    vocabulary: config.train.vocabulary,
    evaluationTokens: config.train.evaluationSequences * config.train.model.sequenceLength + 1,
    seed: config.seed,
    heldOutSeed: config.seed,
  };
}

function trainingInputOf(prepared: Prepared, outputs: Outputs, steps: number): TrainingInput {
  const { seed, train } = prepared.pipeline.config;
  const tokens = outputs.tokenize as TokenizeOutput;
  const warmupSteps = Math.round(train.optimizer.warmup * steps);
  return {
    tokens,
    model: completeModel({
      ...train.model,
      vocabularySize: tokens.vocabulary?.size ?? tokens.tokenizer.vocabularySize,
    }),
    optimizer: optimizerOf(train.optimizer, warmupSteps),
    steps,
    batchSize: train.batchSize,
    precision: train.precision,
    evaluationSequences: train.evaluationSequences,
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

function referenceInputOf(prepared: Prepared, outputs: Outputs): ReferenceInput {
  const { train } = prepared.pipeline.config;
  const { externalReference: external } = prepared;
  const resolved = resolveWeights(prepared.referenceWeights, outputs.count as CountOutput, prepared.tokenizer.name);
  return {
    ...trainingInputOf(prepared, outputs, train.reference.steps),
    weights: resolved.weights,
    weightsFrom: resolved.from,
    external: external && { path: external.path, sha256: external.sha256 },
  };
}

function proxyInputOf(prepared: Prepared, outputs: Outputs): ProxyInput {
  const { proxy: settings, batchSize, microBatch, accumulation } = prepared.pipeline.config.train;
  return {
    ...trainingInputOf(prepared, outputs, settings.steps),
    reference: (outputs.reference as ReferenceOutput).model,
    objective: settings.objective,
    eta: settings.eta,
    smoothing: settings.smoothing,
    accumulation: accumulation === "stale" ? { stale: microBatch ?? batchSize } : "exact",
    settle: settings.settle ?? null,
  };
}

function resampleInputOf(prepared: Prepared, outputs: Outputs): ResampleInput {
  const { pipeline } = prepared;
  const { config } = pipeline;
  const discovered = outputs.discover as DiscoverOutput;
  const counted = outputs.count as CountOutput;
  const names = counted.domains.map((domain) => domain.name);
  const learned = (outputs.proxy as ProxyOutput | undefined)?.weights;
  const resolved = resolveWeights(prepared.resampleWeights, counted, prepared.tokenizer.name, learned);
  return {
    pipeline: config.name,
    count: counted,
    root: discovered.root,
    target: join(pipeline.output, "resample"),
    tokenizer: prepared.tokenizer,
    columns: { text: config.data.textColumn, domain: config.data.domainColumn ?? null },
    domainRule: domainRuleOf(pipeline, discovered),
    transform: prepared.transform,
    heldOut: heldOutRule(pipeline),
    weights: resolved.weights,
    weightsFrom: resolved.from,
    budgetTokens: config.resample.budgetTokens,
    maxEpochs: epochCaps(config.resample.maxEpochs, names),
    onCap: config.resample.onCap,
    seed: config.seed,
    notes: [
      ...resolved.notes,
      ...counted.notes,
      ...[...discovered.skipped, ...counted.skipped].map((shard) => `left out ${shard.path}: ${shard.reason}`),
    ],
  };
}

/** User stages see the outputs without the list of shards, which says when each file was written. */
function withoutVersions(outputs: Outputs): Outputs {
  const { shards: _, ...discovered } = outputs.discover as DiscoverOutput;
  return { ...outputs, discover: discovered };
}
