/** Verification of a manifest's numbers: that they follow from each other, and that the domain counts are the files'. */
import { toPlainError } from "../lib/errors.ts";
import { SELECTION_RNG } from "../lib/permutation.ts";
import { allocateWithBounds } from "../mixture/allocation.ts";
import { WEIGHT_SUM_TOLERANCE } from "../mixture/weights.ts";
import { capTokens, floorTokens } from "./bounds.ts";
import type { Manifest } from "./contract.ts";
import type { DocumentIndex } from "./document-index.ts";
import type { ProblemList } from "./problems.ts";
import { countUnits, tokenWeights, unitText } from "./units.ts";
import { ratio } from "./write.ts";

/** Sums, quotients and the allocation, from the manifest alone. */
export function checkArithmetic(manifest: Manifest, problems: ProblemList): void {
  const { domains, files } = manifest;
  problems.expectSame("rng", "random generator", manifest.rng, SELECTION_RNG);
  unique(
    domains.map((domain) => domain.name),
    "duplicate-domain",
    "domain",
    problems,
  );
  unique(
    files.map((file) => file.path),
    "duplicate-file",
    "file",
    problems,
  );
  for (const file of files) {
    const grouped = file.rowGroups.reduce((sum, rows) => sum + rows, 0);
    problems.expectSame("row-groups", `${file.path}: sum over its row groups`, file.rows, grouped, { file: file.path });
    if (file.domain !== null && !domains.some((domain) => domain.name === file.domain)) {
      problems.add("unknown-domain", `${file.path}: its domain “${file.domain}” is not one of the manifest's`, {
        file: file.path,
      });
    }
  }

  const weightSum = domains.reduce((sum, domain) => sum + domain.weight, 0);
  if (Math.abs(weightSum - 1) > WEIGHT_SUM_TOLERANCE) {
    problems.add("weight-sum", `weights: must add up to 1, they add up to ${weightSum}`);
  }
  const achieved = domains.reduce((sum, domain) => sum + domain.achievedTokens, 0);
  problems.expectSame("achieved-sum", "achievedTokens: sum over the domains", manifest.achievedTokens, achieved);
  for (const domain of domains) {
    const close = (code: string, what: keyof typeof domain, found: number) =>
      problems.expectClose(code, `“${domain.name}”: ${what}`, domain[what] as number, found, { domain: domain.name });
    close("mean-tokens", "meanTokensPerDocument", ratio(domain.tokens, domain.documents));
    close("target-weight", "targetWeight", ratio(domain.targetTokens, manifest.budgetTokens));
    close("achieved-weight", "achievedWeight", ratio(domain.achievedTokens, manifest.achievedTokens));
    close("epochs", "epochs", ratio(domain.achievedTokens, domain.tokens));
  }
  const documents = domains.reduce((sum, domain) => sum + domain.selectedDocuments, 0);
  problems.expectSame(
    "selected-sum",
    "selection.documents: sum over the domains",
    manifest.selection.documents,
    documents,
  );
  checkTokenWeights(manifest, problems);
  checkAllocation(manifest, problems);
}

/** Weights by tokens follow from the weights and the unit, as far as the manifest says how many of it there are. */
function checkTokenWeights({ domains, unit }: Manifest, problems: ProblemList): void {
  try {
    const found = tokenWeights(
      domains.map((domain) => domain.name),
      domains.map((domain) => domain.weight),
      unit,
      domains.map((domain) => domain.tokens),
      domains.map((domain) => domain.units),
    );
    for (const [i, { name, tokenWeight }] of domains.entries()) {
      problems.expectClose("token-weight", `“${name}”: tokenWeight`, tokenWeight, found[i]!, { domain: name });
    }
  } catch (error) {
    problems.add("token-weight", `weights by tokens cannot be recomputed: ${toPlainError(error).message}`);
  }
}

/** Target tokens are what largest remainder gives for the weights, the budget, the least shares and the caps. */
function checkAllocation({ domains, budgetTokens }: Manifest, problems: ProblemList): void {
  try {
    const targets = allocateWithBounds(
      domains.map((domain) => domain.tokenWeight),
      budgetTokens,
      domains.map(({ minShare }) => floorTokens(minShare, budgetTokens)),
      domains.map(({ maxEpochs, tokens }) => (maxEpochs === null ? null : capTokens(maxEpochs, tokens))),
    );
    for (const [i, domain] of domains.entries()) {
      const what = `“${domain.name}”: targetTokens, the share of the budget`;
      problems.expectSame("allocation", what, domain.targetTokens, targets[i], { domain: domain.name });
    }
  } catch (error) {
    problems.add("allocation", `target tokens cannot be recomputed: ${toPlainError(error).message}`);
  }
}

/** Documents, bytes, tokens and held-out documents of each domain. */
export function checkDomainCounts(manifest: Manifest, index: DocumentIndex, problems: ProblemList): void {
  for (const [i, claimed] of manifest.domains.entries()) {
    const found = index.domains[i]!;
    const same = (what: "documents" | "bytes" | "tokens" | "heldOutDocuments", code: string) =>
      problems.expectSame(code, `“${claimed.name}”: ${what}`, claimed[what], found[what], { domain: claimed.name });
    same("documents", "documents");
    same("bytes", "bytes");
    same("tokens", "tokens");
    const what = `“${claimed.name}”: units, ${unitText(manifest.unit)}`;
    problems.expectSame("units", what, claimed.units, countUnits(found, manifest.unit), { domain: claimed.name });
    // Under the rule "files" the held-out documents are in files that the manifest does not list.
    if (manifest.heldOut.kind !== "files") same("heldOutDocuments", "held-out-documents");
  }
}

function unique(names: readonly string[], code: string, what: string, problems: ProblemList): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) problems.add(code, `${what} “${name}” is listed twice`);
    seen.add(name);
  }
}
