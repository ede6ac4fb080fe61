/**
 * Settings that name domains or depend on their sizes: weights, epoch caps, and the budget within the caps. Each rule
 * is here once; stage inputs are made by it, and `checkDomainNames` and `checkBudget` refuse by it as soon as what it
 * needs is known, so that a misspelt name costs no counting and a budget too large no training.
 */
import { DoremiError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { capTokens, checkMinShares, refuseBudgetOutsideBounds } from "../manifest/bounds.ts";
import type { HeldOutRule, WeightUnit } from "../manifest/contract.ts";
import { type DomainRule, listedDomains } from "../manifest/domain-rule.ts";
import type { SelectionSettings } from "../manifest/selection/settings.ts";
import { unitText } from "../manifest/units.ts";
import { naturalWeights, temperatureWeights, uniformWeights, unimax } from "../mixture/baselines.ts";
import type { ObjectiveSettings } from "../mixture/objective-settings.ts";
import { matchWeights } from "../mixture/weights.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import { indexCounts } from "../stages/resample/run.ts";
import { atSetting, type Pipeline } from "./load.ts";
import { describeRegression, regressionNotes, regressionWeights, runsOf } from "./regression-weights.ts";
import type { PipelineFile } from "./schema.ts";
import type { SizedSource, TableSource, WeightsSource } from "./weights-source.ts";

type MaxEpochs = PipelineFile["resample"]["maxEpochs"];
type MinShare = PipelineFile["resample"]["minShare"];

/** Domains that a table of caps does not name. */
const DEFAULT_EPOCHS = 4;

/** The domains in order, as far as the settings say them; null = all that are found. */
export function namedDomains({ data }: Pick<PipelineFile, "data">): string[] | null {
  const { domains = null, domainMap = null, onUnlistedDomain } = data;
  const names = domains === null || Array.isArray(domains) ? domains : Object.keys(domains);
  return listedDomains(names, domainMap, onUnlistedDomain);
}

export interface ResolvedWeights {
  readonly weights: number[];
  /** the method and its parameters, for the record */
  readonly from: string;
  readonly notes: string[];
}

/** @param tokenizer the one that sizes and budgets are counted in */
export function resolveWeights(
  source: WeightsSource,
  counted: Pick<CountOutput, "domains">,
  tokenizer: string,
  learned?: Readonly<Record<string, number>>,
): ResolvedWeights {
  const names = counted.domains.map((domain) => domain.name);
  const tokens = counted.domains.map((domain) => domain.tokens[tokenizer] ?? 0);
  switch (source.kind) {
    case "learned": {
      if (!learned)
        throw new DoremiError("internal", "no-weights", "weights are to be learned, and no proxy was trained");
      return { weights: names.map((name) => learned[name]!), from: "doremi", notes: [] };
    }
    case "regression": {
      const prior = resolveFixed(source.prior, names, tokens);
      const result = regressionWeights(source, names, tokens, prior.weights);
      return {
        weights: [...result.weights],
        from: describeRegression(source, result),
        notes: [...prior.notes, ...regressionNotes(result)],
      };
    }
    default:
      return resolveFixed(source, names, tokens);
  }
}

/** Weights that follow from sizes or stand in a table. @param tokens of each domain */
export function resolveFixed(
  source: SizedSource | TableSource,
  names: readonly string[],
  tokens: readonly number[],
): ResolvedWeights {
  switch (source.kind) {
    case "natural":
      return { weights: naturalWeights(tokens), from: "natural", notes: [] };
    case "uniform":
      return { weights: uniformWeights(tokens), from: "uniform", notes: [] };
    case "temperature": {
      const { exponent } = source;
      const temperature = exponent > 0 ? `temperature ${Number((1 / exponent).toPrecision(6))}, ` : "";
      const from = `${temperature}exponent ${Number(exponent.toPrecision(6))}`;
      return { weights: temperatureWeights(tokens, exponent), from, notes: [] };
    }
    case "unimax": {
      const { maxEpochs, budgetTokens } = source;
      const { weights, budgetLeft } = unimax(tokens, budgetTokens, maxEpochs);
      const from = `unimax, at most ${maxEpochs} epochs of ${budgetTokens} tokens`;
      const notes =
        budgetLeft > 0
          ? [
              `unimax: every domain is at its cap of ${maxEpochs} epochs, which makes the weights natural; ${Math.round(budgetLeft)} tokens of the budget are left over`,
            ]
          : [];
      return { weights, from, notes };
    }
    case "table": {
      const { weights, notes } = matchWeights(source.table, names, source.from, source.file);
      return { weights, from: "given", notes };
    }
    default:
      return source satisfies never;
  }
}

/** In the order of the domains. @throws DoremiError unknown-domain */
export function epochCaps(maxEpochs: MaxEpochs, domains: readonly string[]): number[] {
  if (typeof maxEpochs === "number") return domains.map(() => maxEpochs);
  refuseUnknown("maxEpochs", maxEpochs, domains);
  return domains.map((name) => (Object.hasOwn(maxEpochs, name) ? maxEpochs[name]! : DEFAULT_EPOCHS));
}

/**
 * In the order of the domains. A number is for the domains that have weight; a table for those it names, whatever theirs.
 *
 * @param weights null = learned, which leave no domain out  @throws DoremiError unknown-domain, bad-min-share
 */
export function leastShares(
  minShare: MinShare,
  domains: readonly string[],
  weights: readonly number[] | null,
): number[] {
  const isTable = typeof minShare !== "number";
  if (isTable) refuseUnknown("minShare", minShare, domains);
  const shares = domains.map((name, i) => {
    if (isTable) return Object.hasOwn(minShare, name) ? minShare[name]! : 0;
    return weights === null || weights[i]! > 0 ? minShare : 0;
  });
  checkMinShares(domains, shares);
  return shares;
}

function refuseUnknown(setting: string, table: Readonly<Record<string, number>>, domains: readonly string[]): void {
  const unknown = Object.keys(table).find((name) => !domains.includes(name));
  if (unknown === undefined) return;
  throw new DoremiError(
    "bad-configuration",
    "unknown-domain",
    `resample.${setting}: names the domain “${unknown}”, which the corpus does not have` +
      (didYouMean(unknown, domains) || `; it has ${domains.join(", ")}`),
  );
}

/** What the setting says in few words, as the manifest says it. */
export function weightUnit(unit: PipelineFile["resample"]["unit"]): WeightUnit {
  return typeof unit === "string" ? { kind: unit } : { kind: "sequences", length: unit.sequences };
}

/** A shuffle that nothing is said of moves what is chosen whole. */
export function selectionSettings({
  granularity,
  order,
  shuffle = granularity,
}: Pick<PipelineFile["resample"], "granularity" | "order" | "shuffle">): SelectionSettings {
  return { granularity, order, shuffle };
}

/** Weights that a method makes are shares of tokens, whatever the setting says. @throws DoremiError weights-by-tokens */
export function checkUnit(unit: WeightUnit, source: WeightsSource): void {
  if (unit.kind === "tokens" || source.kind === "table" || source.kind === "uniform") return;
  throw new DoremiError(
    "bad-configuration",
    "weights-by-tokens",
    `resample.unit: ${unitText(unit)} is what a table of weights, a weights.json or uniform may be by, and resample.weights are ` +
      `${source.kind}, which are shares of tokens; take the unit out, or give the weights in a table`,
  );
}

export interface NamedSettings {
  /** where they stand */
  readonly pipeline: Pick<Pipeline, "placeOf">;
  readonly weights: readonly WeightsSource[];
  readonly maxEpochs: MaxEpochs;
  readonly minShare: MinShare;
  readonly objective: ObjectiveSettings;
}

/** @throws DoremiError unknown-domain, missing-domain, bad-weights, bad-min-share, bad-setting, and what runs of a regression are refused for */
export function checkDomainNames(
  { pipeline, weights, maxEpochs, minShare, objective }: NamedSettings,
  domains: readonly string[],
): void {
  const check = (setting: string, rule: () => unknown): void => {
    try {
      rule();
    } catch (error) {
      throw atSetting(pipeline, setting, error);
    }
  };
  for (const source of weights) {
    const table = source.kind === "regression" ? source.prior : source;
    if (table.kind === "table") check(table.setting, () => matchWeights(table.table, domains, table.from, table.file));
    if (source.kind === "regression") runsOf(source, domains);
  }
  check("resample.maxEpochs", () => epochCaps(maxEpochs, domains));
  // A number is for domains with weight, which are not known here.
  if (typeof minShare !== "number") check("resample.minShare", () => leastShares(minShare, domains, null));
  check("train.proxy.objective", () => checkAdjustments(objective, domains));
}

/** Adjustments of single domains stand in the order of the domains, so there is one for each. @throws DoremiError bad-setting */
function checkAdjustments(objective: ObjectiveSettings, domains: readonly string[]): void {
  const adjustments = objective.name === "group-dro" ? objective.adjustments : null;
  if (!adjustments || adjustments.length === domains.length) return;
  throw new DoremiError(
    "bad-configuration",
    "bad-setting",
    `train.proxy.objective.adjustments: must have a number or null for each of the ${domains.length} domains ` +
      `(${domains.join(", ")}), found ${adjustments.length}`,
  );
}

export interface BudgetSettings {
  readonly budgetTokens: number;
  readonly maxEpochs: MaxEpochs;
  readonly minShare: MinShare;
  /** name of the tokenizer that the budget is counted in */
  readonly tokenizer: string;
  readonly domainRule: DomainRule;
  readonly heldOut: HeldOutRule;
  readonly seed: number;
}

/**
 * Refuses a budget that no weights can fit into the least shares and caps, before any are learned.
 *
 * @param countsFolder of the count stage
 * @throws DoremiError budget-exceeds-caps, floor-exceeds-cap, floors-exceed-budget, bad-min-share
 */
export async function checkBudget(settings: BudgetSettings, counted: CountOutput, countsFolder: string): Promise<void> {
  const { budgetTokens, tokenizer, domainRule, heldOut, seed } = settings;
  const names = counted.domains.map((domain) => domain.name);
  const maxEpochs = epochCaps(settings.maxEpochs, names);
  const minShares = leastShares(settings.minShare, names, null);
  const counts = counted.domains.map((domain) => domain.tokens[tokenizer]!);
  let availableTokens: readonly number[] = counts;
  if (heldOut.kind === "fraction") {
    // Which documents are held out is in the counts of every row. Those are read only where it can matter: a corpus of
    // which single held-out documents are half of all tokens is small, and resample itself refuses it.
    const most = counts.map((tokens, i) => capTokens(maxEpochs[i]!, tokens) / 2);
    const fits = budgetTokens <= most.reduce((sum, tokens) => sum + tokens, 0);
    if (fits && most.every((tokens, i) => minShares[i]! * budgetTokens <= tokens)) return;
    const index = await indexCounts({ count: counted, tokenizer, domainRule, heldOut, seed }, countsFolder);
    availableTokens = index.domains.map((domain) => domain.tokens);
  }
  const weights = names.map(() => 1 / names.length); // learned weights leave no domain out
  refuseBudgetOutsideBounds({ names, weights, availableTokens, maxEpochs, minShares }, budgetTokens);
}
