/**
 * How each stage's input follows from the pipeline and from the outputs before it. Pure: everything that has to be
 * looked up stands in Prepared.
 */
import { z } from "zod";
import { DoremiError } from "../lib/errors.ts";
import type { CountInput, CountOutput } from "../stages/count/contract.ts";
import { count } from "../stages/count/run.ts";
import type { DiscoverInput, DiscoverOutput } from "../stages/discover/contract.ts";
import type { Part } from "../stages/discover/partition.ts";
import { discover } from "../stages/discover/run.ts";
import type { EstimateInput } from "../stages/estimate/contract.ts";
import { estimate } from "../stages/estimate/run.ts";
import type { MixtureOutput } from "../stages/mixture/contract.ts";
import type { ResampleInput } from "../stages/resample/contract.ts";
import { resample } from "../stages/resample/run.ts";
import { joinLocation } from "../storage/location.ts";
import { absolutePattern, domainRuleOf, heldOutRule } from "./corpus-settings.ts";
import {
  checkBudget,
  checkDomainNames,
  epochCaps,
  leastShares,
  resolveWeights,
  selectionSettings,
  weightUnit,
} from "./domain-settings.ts";
import { namedSettings, type Prepared } from "./prepare.ts";
import { checkPublishable } from "./publish.ts";
import { type BoundStage, nameOf, type Outputs } from "./runner.ts";
import { checkSkipped } from "./skipped.ts";
import { bindTraining, hasReference, learnedOf } from "./training-bindings.ts";
import { refuseChangedShards } from "./unchanged-shards.ts";

export const STAGE_NAMES = ["discover", "count", "tokenize", "reference", "proxy", "resample"] as const;
export type StageName = (typeof STAGE_NAMES)[number];

/** The stages that a run of this pipeline needs, in order, up to and including `until`. */
export function bindStages(prepared: Prepared, until: StageName = "resample"): BoundStage[] {
  const { config } = prepared.pipeline;
  const bound: Record<StageName, readonly BoundStage[]> = {
    discover: [
      {
        stage: discover,
        input: () => discoverInputOf(prepared),
        check: async (outputs) => {
          const { domains } = outputs.discover as DiscoverOutput;
          if (domains) checkDomainNames(namedSettings(prepared), domains);
        },
      },
    ],
    count: [
      {
        stage: count,
        input: (outputs) => countInputOf(prepared, outputs.discover as DiscoverOutput),
        check: (outputs, folder) => checkCounted(prepared, until, outputs, folder.folderOf("count")),
      },
    ],
    // Of several trainings, a stage that comes after tokenize or reference comes after the first one's.
    ...bindTraining(prepared),
    resample: [
      { stage: resample, input: (outputs) => resampleInputOf(prepared, outputs), confirm: refuseChangedShards },
    ],
  };
  // Weights that are given need no training; unless somebody asks for the models themselves.
  const trained = until !== "resample" || config.resample.weights === "learned";
  const names = STAGE_NAMES.slice(0, STAGE_NAMES.indexOf(until) + 1).filter((name) => trained || !TRAINING.has(name));
  refuseAfterNothing(prepared, trained);
  const taken = new Set<string>([...STAGE_NAMES, ...Object.values(bound).flat().map(nameOf)]);
  return names.flatMap((name) => [
    ...bound[name],
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
  await checkSkipped(pipeline.config.data.maxSkipped, outputs.discover as DiscoverOutput, counted, folder);
  const { budgetTokens, maxEpochs, minShare } = pipeline.config.resample;
  // Where no weights are to be learned, resample comes next and says more.
  if (until !== "resample" || resampleWeights.kind !== "learned" || budgetTokens === "auto") return;
  const { seed } = pipeline.config;
  const domainRule = domainRuleOf(pipeline, outputs.discover as DiscoverOutput);
  const settings = {
    budgetTokens,
    maxEpochs,
    minShare,
    tokenizer: tokenizer.name,
    domainRule,
    heldOut: heldOutRule(pipeline),
    seed,
  };
  await checkBudget(settings, counted, folder);
}

const TRAINING: ReadonlySet<string> = new Set(["tokenize", "reference", "proxy"]);

/** A stage that waits for one that will not run would be left out without a word. */
function refuseAfterNothing({ pipeline, userStages }: Prepared, trained: boolean): void {
  for (const { stage, after } of userStages) {
    const why =
      !trained && TRAINING.has(after)
        ? "resample.weights gives the weights; set its after to discover, count or resample, take it out, or set resample.weights: learned"
        : after === "reference" && !hasReference(pipeline)
          ? "train.proxy.objective needs no reference; set its after to another stage, or take it out"
          : undefined;
    if (why === undefined) continue;
    throw new DoremiError(
      "bad-configuration",
      "stage-after-training",
      `stage “${stage.name}”: is to run after ${after}, which does not run because ${why}`,
    );
  }
}

export function discoverInputOf({ pipeline, transform }: Pick<Prepared, "pipeline" | "transform">): DiscoverInput {
  const { data } = pipeline.config;
  const absolute = (patterns: readonly string[]) => patterns.map((pattern) => absolutePattern(pipeline.base, pattern));
  const table = data.domains && !Array.isArray(data.domains) ? Object.entries(data.domains) : [];
  const sources: DiscoverInput["sources"] = table.map(([domain, value]) => ({
    domain,
    patterns: absolute(Array.isArray(value) ? value : value.files),
  }));
  if (data.files) sources.push({ domain: null, patterns: absolute(data.files) });
  if (pipeline.publish !== undefined)
    checkPublishable(
      sources.flatMap(({ patterns }) => patterns),
      pipeline.publish,
    );
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

function countInputOf(prepared: Prepared, discovered: DiscoverOutput): CountInput {
  return {
    root: discovered.root,
    domains: domainRuleOf(prepared.pipeline, discovered),
    shards: discovered.shards,
    ...countSettingsOf(prepared),
  };
}

/** What of count's input does not depend on the shards. */
export function countSettingsOf({
  pipeline,
  countTokenizers,
  transform,
}: Prepared): Omit<CountInput, "root" | "domains" | "shards" | "part"> {
  const { data } = pipeline.config;
  return {
    tokenizers: [...countTokenizers],
    textColumn: data.textColumn,
    domainColumn: data.domainColumn ?? null,
    transform,
    onBadShard: data.onBadShard,
    onBadDocument: data.onBadDocument,
    ...(data.hashObjects && { hashObjects: true }),
  };
}

/** The stages that count a part of the corpus. */
export function bindPart(prepared: Prepared, part: Part): BoundStage[] {
  const [discovering] = bindStages(prepared, "discover");
  return [
    { ...discovering!, input: () => ({ ...discoverInputOf(prepared), part }) },
    { stage: count, input: ({ discover }) => ({ ...countInputOf(prepared, discover as DiscoverOutput), part: true }) },
  ];
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

function resampleInputOf(prepared: Prepared, outputs: Outputs): ResampleInput {
  const { pipeline } = prepared;
  const { config } = pipeline;
  const { unit, budgetTokens, maxEpochs, minShare, onCap, ...choice } = config.resample;
  const discovered = outputs.discover as DiscoverOutput;
  const counted = outputs.count as CountOutput;
  const names = counted.domains.map((domain) => domain.name);
  const learned = learnedOf(pipeline, outputs);
  const { notes: learnedNotes = [] } = (outputs.mixture ?? {}) as Partial<MixtureOutput>;
  const resolved = resolveWeights(prepared.resampleWeights, counted, prepared.tokenizer.name, learned);
  return {
    pipeline: config.name,
    count: counted,
    root: discovered.root,
    target: joinLocation(pipeline.publish ?? pipeline.output, "resample"),
    tokenizer: prepared.tokenizer,
    columns: { text: config.data.textColumn, domain: config.data.domainColumn ?? null },
    onBadDocument: config.data.onBadDocument,
    domainRule: domainRuleOf(pipeline, discovered),
    transform: prepared.transform,
    heldOut: heldOutRule(pipeline),
    weights: resolved.weights,
    // The objective that learned them says more than that they were learned.
    weightsFrom: prepared.resampleWeights.kind === "learned" ? config.train.proxy.objective.name : resolved.from,
    unit: weightUnit(unit),
    budgetTokens,
    maxEpochs: epochCaps(maxEpochs, names),
    minShares: leastShares(minShare, names, resolved.weights),
    onCap,
    selection: selectionSettings(choice),
    seed: config.seed,
    notes: [
      ...resolved.notes,
      ...learnedNotes,
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
