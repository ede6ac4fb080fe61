/**
 * From what a column or a path says to one of the corpus's domains. Counting, tokenizing and verification all ask here,
 * so they agree on the domain of every row. Pure.
 */
import { z } from "zod";

/** What becomes of a document that says no domain, or one that is not listed: an error, nothing, or a document of this domain. */
export const unlistedPolicy = z.union([z.enum(["fail", "drop"]), z.strictObject({ domain: z.string().min(1) })]);

export const domainRule = z.strictObject({
  /** domain by value, where they differ; a value that is not in it is a name itself */
  map: z.record(z.string(), z.string()).nullable(),
  /** the domains; null = every name is one */
  listed: z.array(z.string()).nullable(),
  unlisted: unlistedPolicy,
});

export type UnlistedPolicy = z.output<typeof unlistedPolicy>;
export type DomainRule = z.output<typeof domainRule>;

/** @param value null where the row or path says none @returns null where the document is none of the corpus's */
export function domainOf(rule: DomainRule, value: string | null): string | null {
  const name = listedName(rule, value);
  return name === null && typeof rule.unlisted === "object" ? rule.unlisted.domain : name;
}

/** The rule for the values in a file: one whose path says its domain has been through the map. */
export function ruleWithin(rule: DomainRule, file: { readonly domain: string | null }): DomainRule {
  return file.domain === null || rule.map === null ? rule : { ...rule, map: null };
}

/** True where the rule forbids the value. */
export function isRefused(rule: DomainRule, value: string | null): boolean {
  return rule.unlisted === "fail" && listedName(rule, value) === null;
}

function listedName({ map, listed }: DomainRule, value: string | null): string | null {
  if (value === null) return null;
  const name = map && Object.hasOwn(map, value) ? map[value]! : value;
  return listed === null || listed.includes(name) ? name : null;
}

/**
 * The domains in order that a rule's settings come to: those listed, or else those that the map names; and the one that
 * takes the rest. Null = all that are found.
 */
export function listedDomains(
  names: readonly string[] | null,
  map: Readonly<Record<string, string>> | null,
  unlisted: UnlistedPolicy,
): string[] | null {
  const listed = names ?? (map && Object.values(map));
  if (!listed) return null;
  return [...new Set([...listed, ...(typeof unlisted === "object" ? [unlisted.domain] : [])])];
}
