/** A tokenizer.json's normalizer as parts of a plan. */
import type { NormalizerPlan, NormalizerStep } from "./normalizers/normalizer.ts";
import { normalizerSteps } from "./normalizers/normalizer.ts";
import type { PrefixPlan, SpacesPlan } from "./plan.ts";
import type { Part } from "./tokenizer-json.ts";

export interface Normalizing {
  readonly normalizer: NormalizerPlan;
  readonly spaces: SpacesPlan;
  readonly prefix: PrefixPlan | null;
}

/** A part that is a Sequence as its members, and theirs. @param members their name in it */
export function partsOf(part: Part | null, members: "normalizers" | "pretokenizers"): readonly Part[] {
  if (part === null) return [];
  if (part.type !== "Sequence") return [part];
  const inner = part[members];
  return Array.isArray(inner) ? inner.flatMap((one: Part) => partsOf(one, members)) : [];
}

/** Every step as it is; undefined where one has no exact equal. */
export function normalizing(normalizer: Part | null): Normalizing | undefined {
  const steps = partsOf(normalizer, "normalizers").map(normalizerSteps);
  if (!steps.every((made) => made !== undefined)) return undefined;
  return { normalizer: steps.flat(), spaces: "kept", prefix: null };
}

/** As `normalizing`, with the steps that mark spaces left to the counter; undefined where that would not be the same. */
export function normalizingWithMarks(normalizer: Part | null): Normalizing | undefined {
  const steps: NormalizerStep[] = [];
  let prefixed = false;
  let marked = false;
  for (const part of partsOf(normalizer, "normalizers")) {
    if (part.type === "Prepend" && part.prepend === "\u2581" && !prefixed) {
      prefixed = true;
    } else if (isSpaceMark(part)) {
      marked = true;
    } else {
      const made = normalizerSteps(part);
      // what changes text must not see the marks: in the counter they are spaces
      if (made === undefined || prefixed || marked) return undefined;
      steps.push(...made);
    }
  }
  if (!marked) return undefined;
  return {
    normalizer: steps,
    spaces: "marked-by-normalizer",
    prefix: prefixed ? { by: "normalizer", before: "text", unlessThere: false } : null,
  };
}

function isSpaceMark({ type, pattern, content }: Part): boolean {
  return (
    type === "Replace" &&
    content === "\u2581" &&
    typeof pattern === "object" &&
    pattern !== null &&
    "String" in pattern &&
    pattern.String === " "
  );
}
