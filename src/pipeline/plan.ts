/**
 * What a run would do, as plain data: files found and missing, stages done and to do, tokens and time. Reads file lists
 * and footers only; writes nothing.
 */
import { availableParallelism } from "node:os";
import { cpuThreads } from "../engine/cpu.ts";
import { availableMemory } from "../lib/available-memory.ts";
import { type PlainError, toPlainError } from "../lib/errors.ts";
import { domainOf } from "../manifest/domain-rule.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import type { DiscoveredShard, DiscoverInput, DiscoverOutput } from "../stages/discover/contract.ts";
import { corpusFiles, noMatchText } from "../stages/discover/files.ts";
import { discover, discoverShards } from "../stages/discover/run.ts";
import type { ResampleInput } from "../stages/resample/contract.ts";
import { storage } from "../storage/files.ts";
import { type CompleteModel, completeModel, countParameters, forwardFlops, trainingFlops } from "../trainer/model.ts";
import { bindStages, discoverInputOf, type StageName } from "./bindings.ts";
import { resolveWeights, selectionSettings, weightUnit } from "./domain-settings.ts";
import type { Pipeline } from "./load.ts";
import { OutputFolder } from "./output-folder.ts";
import { type PlannedStage, planStages } from "./plan-stages.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { mostRounds } from "./replicates.ts";
import { nameOf, previousOf } from "./runner.ts";
import { isAlive, readStatus } from "./status.ts";
import { hasReference, trainingTokens } from "./training-bindings.ts";
import { trainingEngineFault } from "./training-engine.ts";
import { type PlannedMemory, planMemory } from "./training-memory.ts";
import type { WeightsSource } from "./weights-source.ts";

/** Text counted per second and worker, bytes; what the counter does on ordinary text, reading included. */
const COUNT_BYTES_PER_SECOND = 20e6;
/** What a training step reaches of a core, FLOP per second. */
export const TRAIN_FLOPS_PER_SECOND = 40e9;
/** Bytes of UTF-8 per token where nothing has been counted. */
const BYTES_PER_TOKEN = 4;
/** Bytes of text that a byte of a compressed shard holds. */
const TEXT_PER_STORED_BYTE = 2.5;

export interface PlannedDomain {
  readonly name: string;
  readonly files: number;
  /** of the files */
  readonly bytes: number;
  readonly tokens: number;
  /** false: an estimate from the size of the text */
  readonly counted: boolean;
}

export interface PlannedTraining {
  readonly steps: number;
  readonly tokens: number;
  readonly flops: number;
}

export interface PlannedResample extends Pick<ResampleInput, "unit" | "budgetTokens" | "onCap" | "selection"> {
  /** the method, or `table` */
  readonly weights: WeightsSource["kind"];
  /** for all domains, or by name */
  readonly maxEpochs: number | Readonly<Record<string, number>>;
  readonly minShare: number | Readonly<Record<string, number>>;
}

export interface PipelinePlan {
  readonly name: string;
  readonly output: string;
  readonly files: { readonly found: number; readonly bytes: number };
  /** patterns that match no file, and other inputs that are not there */
  readonly missing: readonly { readonly what: string; readonly domain: string | null; readonly message: string }[];
  readonly domains: readonly PlannedDomain[];
  readonly training: {
    /** the reference's, where it is trained here, and the proxy's */
    readonly model: CompleteModel;
    /** false: the tokenizer is missing, and the vocabulary a guess */
    readonly vocabularyKnown: boolean;
    readonly parameters: number;
    /** without embeddings */
    readonly bodyParameters: number;
    readonly tokensPerStep: number;
    /** of each training; none where a model is given, or the objective needs none */
    readonly reference: PlannedTraining & { readonly from: "training" | "model" | "nowhere" };
    /** of each training */
    readonly proxy: PlannedTraining;
    /** at most, where `rounds: auto` may end them earlier */
    readonly rounds: { readonly count: number; readonly auto: boolean };
    /** of each round */
    readonly seeds: number;
    /** at its highest; null on engines whose memory is not the machine's */
    readonly memory: PlannedMemory | null;
    /** why the engine or the precision that is set cannot be used on this machine; null where there is nothing to say */
    readonly engineFault: string | null;
  };
  /** null where a run would not come to it, or an input is missing */
  readonly resample: PlannedResample | null;
  readonly stages: readonly PlannedStage[];
  /** a run that is at work in the output folder now; null where there is none */
  readonly running: { readonly host: string; readonly pid: number; readonly startedAt: string } | null;
  /** of all that is to do, as far as it can be said */
  readonly seconds: number | null;
  readonly assumptions: readonly string[];
}

export async function planPipeline(pipeline: Pipeline, until: StageName = "resample"): Promise<PipelinePlan> {
  const missing: { what: string; domain: string | null; message: string }[] = [];
  const note = ({ file = "", message }: PlainError): void => void missing.push({ what: file, domain: null, message });
  let prepared: Prepared | undefined;
  try {
    prepared = await prepare(pipeline, [], note);
  } catch (error) {
    const plain = toPlainError(error);
    if (plain.kind !== "missing-input") throw error;
    note(plain);
  }
  const bound = prepared ? bindStages(prepared, until) : [];
  const folder = new OutputFolder(pipeline.output);
  const run = await runAtWork(pipeline.output);
  const training = {
    ...planTraining(pipeline, prepared),
    engineFault: await trainingEngineFault(pipeline, bound, folder),
  };
  const workers = pipeline.config.workers ?? availableParallelism();
  const threads = cpuThreads(pipeline.config.train.threads);
  const base = {
    name: pipeline.config.name,
    output: pipeline.output,
    training,
    running: run ? { host: run.process.host, pid: run.process.pid, startedAt: run.startedAt } : null,
    resample: prepared && until === "resample" ? planResampling(prepared) : null,
    assumptions: assumptions(workers, threads),
  };
  const input = discover.input.parse(discoverInputOf(prepared ?? { pipeline, transform: null }));
  const found = await findInputs(input, missing);
  if (!prepared) return { ...base, ...found, missing, stages: [], seconds: null };
  if (missing.length > 0) {
    const stages = bound.map(
      (stage): PlannedStage => ({ name: nameOf(stage), status: "waits", why: "for the missing files", seconds: null }),
    );
    return { ...base, files: found.files, domains: found.domains, missing, stages, seconds: null };
  }

  const { output: discovered, shards } = await discoverShards(input, {
    previous: previousOf(bound[0]!, await folder.done("discover"), folder),
    signal: new AbortController().signal,
    emit: () => {},
  });
  const textBytes = shards.reduce((sum, shard) => sum + textOf(shard), 0);
  const seconds: Record<string, number> = {
    count: (textBytes * prepared.countTokenizers.length) / (COUNT_BYTES_PER_SECOND * workers),
    tokenize:
      Math.min(textBytes, (training.reference.tokens + training.proxy.tokens) * BYTES_PER_TOKEN) /
      (COUNT_BYTES_PER_SECOND * workers),
    // Of an engine that does not work here, nothing can be said.
    ...(training.engineFault === null && {
      reference: training.reference.flops / (TRAIN_FLOPS_PER_SECOND * threads),
      proxy: training.proxy.flops / (TRAIN_FLOPS_PER_SECOND * threads),
    }),
    discover: 0,
    mixture: 0,
    resample: 0,
  };
  const { stages, outputs } = await planStages({
    bound,
    folder,
    discovered,
    shards: shards.length,
    seconds,
    steps: { reference: training.reference.steps, proxy: training.proxy.steps },
    run,
  });
  const counted = outputs.count as CountOutput | undefined;
  return {
    ...base,
    files: found.files,
    domains: counted
      ? exactDomains(found.domains, counted, prepared.tokenizer.name)
      : estimateDomains(found.domains, discovered, shards),
    training: counted ? withExactNeeds(prepared, counted, training) : training,
    missing,
    stages,
    seconds: stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0),
  };
}

function planResampling({ pipeline, resampleWeights }: Prepared): PlannedResample {
  const { unit, budgetTokens, maxEpochs, minShare, onCap, ...choice } = pipeline.config.resample;
  return {
    weights: resampleWeights.kind,
    unit: weightUnit(unit),
    budgetTokens,
    maxEpochs,
    minShare,
    onCap,
    selection: selectionSettings(choice),
  };
}

async function runAtWork(output: string) {
  const status = await readStatus(output).catch(() => undefined);
  return status?.state === "running" && (await isAlive(status)) ? status : undefined;
}

/** Where no tokenizer can be opened: GPT-2's size. */
const FALLBACK_VOCABULARY = 50_257;

async function findInputs(input: DiscoverInput, missing: { what: string; domain: string | null; message: string }[]) {
  /** by path; domain: null of a held-out file, which goes before what data.files says of it */
  const found = new Map<string, { domain: string | null; bytes: number }>();
  const add = async (pattern: string, domain: string | null, setting: string) => {
    const { files, passedOver } = await corpusFiles(pattern);
    if (files.length === 0)
      missing.push({
        what: pattern,
        domain,
        message: `no file matches ${pattern} (${setting})${await noMatchText(pattern, passedOver, domain === null && input.domainColumn === null)}`,
      });
    for (const file of files) {
      const value = domain ?? file.domain;
      const isHeldOut = setting !== "data.files";
      // A path that names a domain which is not listed is left out, as discover leaves it out.
      if (!isHeldOut && value !== null && domainOf(input.domains, value) === null) continue;
      const name =
        input.domainColumn === null
          ? (domainOf(input.domains, value) ?? value ?? "(none)")
          : (value ?? `by ${input.domainColumn}`);
      const { size } = await storage.stat(file.path);
      found.set(file.path, { domain: isHeldOut ? null : name, bytes: size });
    }
  };
  for (const source of input.sources)
    for (const pattern of source.patterns) await add(pattern, source.domain, "data.files");
  for (const pattern of input.heldOutPatterns) await add(pattern, null, "data.heldOut.files");
  const domains = new Map<string, { files: number; bytes: number }>();
  const files = { found: 0, bytes: 0 };
  for (const { domain, bytes } of found.values()) {
    files.found++;
    files.bytes += bytes;
    if (domain === null) continue;
    const entry = domains.get(domain) ?? { files: 0, bytes: 0 };
    domains.set(domain, { files: entry.files + 1, bytes: entry.bytes + bytes });
  }
  return {
    files,
    domains: [...domains].map(
      ([name, { files: count, bytes }]): PlannedDomain => ({ name, files: count, bytes, tokens: 0, counted: false }),
    ),
  };
}

function estimateDomains(
  domains: readonly PlannedDomain[],
  { domainColumn }: DiscoverOutput,
  shards: readonly DiscoveredShard[],
): PlannedDomain[] {
  const text = new Map<string, number>();
  for (const shard of shards) {
    if (shard.split !== "train") continue;
    const name = shard.domain ?? `by ${domainColumn}`;
    text.set(name, (text.get(name) ?? 0) + textOf(shard));
  }
  return domains.map((domain) => ({ ...domain, tokens: Math.round((text.get(domain.name) ?? 0) / BYTES_PER_TOKEN) }));
}

function exactDomains(planned: readonly PlannedDomain[], counted: CountOutput, tokenizer: string): PlannedDomain[] {
  return counted.domains.map((domain) => {
    const files = planned.find((other) => other.name === domain.name);
    return {
      name: domain.name,
      files: files?.files ?? 0,
      bytes: files?.bytes ?? 0,
      tokens: domain.tokens[tokenizer]!,
      counted: true,
    };
  });
}

/** Estimated bytes of a shard's text. */
function textOf({ layout }: DiscoveredShard): number {
  return layout.units.reduce((sum, unit) => sum + unit.storedBytes, 0) * TEXT_PER_STORED_BYTE;
}

function planTraining(
  pipeline: Pipeline,
  prepared: Prepared | undefined,
): Omit<PipelinePlan["training"], "engineFault"> {
  const { model: settings, batchSize, reference, proxy, rounds, seeds } = pipeline.config.train;
  const vocabularySize = prepared?.modelTokenizer.vocabularySize ?? FALLBACK_VOCABULARY;
  const model = completeModel({ ...settings, vocabularySize });
  const tokensPerStep = batchSize * model.sequenceLength;
  const step = trainingFlops(model, tokensPerStep);
  const external = prepared?.externalReference?.model;
  const referenceModel = external ? { ...external, sequenceLength: model.sequenceLength } : model;
  const from = !hasReference(pipeline) ? "nowhere" : reference.model === undefined ? "training" : "model";
  const proxyStep = step + (from === "nowhere" ? 0 : forwardFlops(referenceModel, tokensPerStep));
  const referenceSteps = from === "training" ? reference.steps : 0;
  const { total, body } = countParameters(model);
  return {
    model,
    vocabularyKnown: prepared !== undefined,
    parameters: total,
    bodyParameters: body,
    tokensPerStep,
    reference: {
      steps: referenceSteps,
      tokens: referenceSteps * tokensPerStep,
      flops: referenceSteps * step,
      from,
    },
    proxy: { steps: proxy.steps, tokens: proxy.steps * tokensPerStep, flops: proxy.steps * proxyStep },
    rounds: { count: mostRounds({ rounds }), auto: typeof rounds !== "number" },
    seeds,
    memory: planMemory(pipeline.config.train, model, external ? referenceModel : null, availableMemory()),
  };
}

function withExactNeeds(
  prepared: Prepared,
  counted: CountOutput,
  training: PipelinePlan["training"],
): PipelinePlan["training"] {
  const { weights } = resolveWeights(prepared.referenceWeights, counted, prepared.tokenizer.name);
  const sum = (tokens: readonly number[]) => tokens.reduce((total, value) => total + value, 0);
  const needed = trainingTokens(prepared, weights);
  return {
    ...training,
    reference: { ...training.reference, tokens: sum(needed.reference) },
    proxy: { ...training.proxy, tokens: sum(needed.proxy) },
  };
}

function assumptions(workers: number, threads: number): string[] {
  return [
    `counting at ${COUNT_BYTES_PER_SECOND / 1e6} MB of text a second and worker, ${workers} workers`,
    `training at ${TRAIN_FLOPS_PER_SECOND / 1e9} GFLOP/s a thread, ${threads} threads`,
    `where nothing is counted yet, a stored byte is ${TEXT_PER_STORED_BYTE} bytes of text and a token ${BYTES_PER_TOKEN}`,
  ];
}
