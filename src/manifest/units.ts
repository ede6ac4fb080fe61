/**
 * Weights by tokens, documents or sequences: how many of a unit a domain has, and what a weight by it is as a share of
 * tokens. A domain's tokens per unit are its mean; which documents are chosen does not depend on the unit.
 */
import { DoremiError } from "../lib/errors.ts";
import type { WeightUnit } from "./contract.ts";
import type { DomainDocuments } from "./document-index.ts";

/**
 * Of the documents that training may see. A sequence: a document cut every `length` tokens, the last piece padded; it
 * takes each document's tokens.
 */
export function countUnits(
  domain: Pick<DomainDocuments, "documents" | "tokens"> & Partial<DomainDocuments>,
  unit: WeightUnit,
): number {
  switch (unit.kind) {
    case "tokens":
      return domain.tokens;
    case "documents":
      return domain.documents;
    case "sequences": {
      const { documentTokens, heldOut } = domain;
      if (!documentTokens || !heldOut)
        throw new DoremiError("internal", "units", "sequences take the tokens of documents");
      let sequences = 0;
      for (let ordinal = 0; ordinal < documentTokens.length; ordinal++) {
        if (heldOut[ordinal] === 0) sequences += Math.ceil(documentTokens[ordinal]! / unit.length);
      }
      return sequences;
    }
    default:
      return unit satisfies never;
  }
}

/**
 * t_i = w_i · tokens_i ÷ units_i, divided by their sum: float64, in this order of operations. A weight by tokens is a share
 * of tokens already, and stays as it is.
 *
 * @param units of each domain, as `countUnits` counts them
 * @throws DoremiError no-tokens for a weight of a domain without units or without tokens
 */
export function tokenWeights(
  names: readonly string[],
  weights: readonly number[],
  unit: WeightUnit,
  tokens: readonly number[],
  units: readonly number[],
): number[] {
  if (unit.kind === "tokens") return [...weights];
  const shares = weights.map((weight, i) => (weight === 0 ? 0 : weight * (tokens[i]! / units[i]!)));
  const empty = shares.findIndex((share, i) => weights[i]! > 0 && !(Number.isFinite(share) && share > 0));
  if (empty >= 0) {
    throw new DoremiError(
      "bad-configuration",
      "no-tokens",
      `domain “${names[empty]}”: has weight ${weights[empty]} by ${unitText(unit)}, and ${tokens[empty]} tokens in ` +
        `${units[empty]} outside its held-out documents; set its weight to 0 or add data`,
    );
  }
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}

/** For people: tokens, documents, sequences of 2048 tokens. */
export function unitText(unit: WeightUnit): string {
  return unit.kind === "sequences" ? `sequences of ${unit.length} tokens` : unit.kind;
}
