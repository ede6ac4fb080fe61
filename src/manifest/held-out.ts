/**
 * Which documents of a domain training never sees, from the rule, the seed and the number of documents alone. Every
 * stage that needs to know asks here, so that all agree. Pure; knows ordinals, not files.
 */
import { Rng } from "../lib/rng.ts";
import { ceilProduct } from "../mixture/decimal.ts";
import type { HeldOutRule } from "./contract.ts";

/** How many of `documents` the rule holds out: max(minDocuments, ⌈fraction·n⌉), never more than half. */
export function heldOutCount(rule: HeldOutRule, documents: number): number {
  if (rule.kind !== "fraction") return 0;
  const wanted = Math.max(rule.minDocuments, Number(ceilProduct(rule.fraction, documents)));
  return Math.min(wanted, Math.floor(documents / 2));
}

/**
 * 1 for the documents that are held out, 0 for the others, by ordinal: the place of a document among those of its
 * domain in the order of files and rows. All 0 under the rules "files" and "none", which hold out no single documents.
 *
 * @param domain the domain's name, so that its choice does not depend on the other domains
 */
export function heldOutMask(rule: HeldOutRule, seed: number, domain: string, documents: number): Uint8Array {
  const mask = new Uint8Array(documents);
  const count = heldOutCount(rule, documents);
  if (count === 0) return mask;
  const order = new Rng(seed, `held-out/${domain}`).permutation(documents);
  for (let i = 0; i < count; i++) mask[order.at(i)] = 1;
  return mask;
}
