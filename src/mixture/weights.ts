/**
 * Domain weights as vectors and as files: `{ "domain": weight }` in JSON, as DoReMi's repository publishes them and as
 * this program writes them. Checks names and numbers and normalises; learns nothing.
 */
import { DoremiError, type ErrorPlace } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";

export interface DomainWeights {
  /** in the order of the domains asked for; Σ = 1 to rounding */
  readonly weights: number[];
  /** what a person should know, such as that the sum was 1.0001 */
  readonly notes: string[];
}

/** Σ of w / Σw in float64 is within this of 1, whatever the order of summation (2^-53 · a few thousand domains). */
export const WEIGHT_SUM_TOLERANCE = 1e-9;

/** Sums further from 1 than printing to four places explains (22 domains · .00005) are a likely mistake: say more. */
const ROUNDING_OF_PRINTED_WEIGHTS = 2e-3;

/**
 * w / Σw, with a note when Σw was not 1.
 *
 * @param weights finite, ≥ 0, not all 0  @param names for messages, same length  @param who the file or setting at fault
 * @param file for the error, where it is one
 * @throws DoremiError bad-weights
 */
export function normaliseWeights(
  weights: readonly number[],
  names: readonly string[],
  who = "weights",
  file?: string,
): DomainWeights {
  for (const [index, weight] of weights.entries()) {
    if (!Number.isFinite(weight) || weight < 0) {
      throw refuse(who, `weight of “${names[index] ?? index}”: must be a finite number ≥ 0, got ${weight}`, file);
    }
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (!(sum > 0)) throw refuse(who, "all weights are zero; at least one domain must have a weight above 0", file);
  if (Math.abs(sum - 1) <= WEIGHT_SUM_TOLERANCE) return { weights: [...weights], notes: [] };
  const how =
    Math.abs(sum - 1) <= ROUNDING_OF_PRINTED_WEIGHTS
      ? "rounded when they were written"
      : "taken as proportions; check that none is missing";
  return {
    weights: weights.map((weight) => weight / sum),
    notes: [`${who}: weights add up to ${Number(sum.toPrecision(8))}, ${how}; normalised to 1`],
  };
}

/**
 * Reads `{ "domain": weight }`, or the `train_domain_weights` of DoReMi's own configuration files.
 *
 * @param json the file's text  @param domains names in the order wanted; the file must name each, and no other
 * @throws DoremiError bad-json, bad-weights, unknown-domain, missing-domain
 */
export function parseWeightsFile(json: string, domains: readonly string[], file: string): DomainWeights {
  return matchWeights(parseWeightsTable(json, file), domains, file, file);
}

/** The file's table, where the domains are not known yet; its values are still to be checked. @throws bad-json, bad-weights */
export function parseWeightsTable(json: string, file: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw new DoremiError("bad-data", "bad-json", `${file}: must be JSON, ${(error as Error).message}`, { file });
  }
  const table = asTable(parsed, file);
  const inner = table.train_domain_weights;
  return typeof inner === "object" ? asTable(inner, file) : table; // a number is the weight of a domain of this name
}

/** The table's weights in the order of `domains`, normalised. @throws DoremiError bad-weights, unknown-domain, missing-domain */
export function matchWeights(
  table: Readonly<Record<string, unknown>>,
  domains: readonly string[],
  who = "weights",
  file?: string,
): DomainWeights {
  const names = Object.keys(table);
  for (const name of names) {
    if (domains.includes(name)) continue;
    const hint =
      didYouMean(
        name,
        domains.filter((domain) => !names.includes(domain)),
      ) || didYouMean(name, domains);
    throw new DoremiError(
      "bad-configuration",
      "unknown-domain",
      `${who}: names the domain “${name}”, which the corpus does not have${hint || `; it has ${list(domains)}`}`,
      placeOf(file),
    );
  }
  const weights = domains.map((domain) => {
    if (!Object.hasOwn(table, domain)) {
      const hint = didYouMean(domain, names);
      throw new DoremiError(
        "bad-configuration",
        "missing-domain",
        `${who}: must give a weight for every domain, found none for “${domain}”` +
          `${hint || `; add it, with 0 to leave the domain out (the file names ${list(names)})`}`,
        placeOf(file),
      );
    }
    const weight = table[domain];
    if (typeof weight !== "number")
      throw refuse(who, `weight of “${domain}”: must be a number, got ${show(weight)}`, file);
    return weight;
  });
  return normaliseWeights(weights, domains, who, file);
}

function asTable(value: unknown, file: string): Record<string, unknown> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw refuse(file, `must be an object { "domain": weight }, got ${show(value)}`, file);
  }
  return value as Record<string, unknown>;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(", ");
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown || "none";
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function refuse(who: string, message: string, file: string | undefined): DoremiError {
  return new DoremiError("bad-configuration", "bad-weights", `${who}: ${message}`, placeOf(file));
}

function placeOf(file: string | undefined): ErrorPlace {
  return file === undefined ? {} : { file };
}
