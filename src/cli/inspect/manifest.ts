/** A manifest as text: what was chosen of each domain and why. */
import { capTokens, floorTokens } from "../../manifest/bounds.ts";
import type { Manifest } from "../../manifest/contract.ts";
import { decisionsOf } from "../../manifest/plan.ts";
import { unitText } from "../../manifest/units.ts";
import { formatBytes, formatInteger, plural } from "../numbers.ts";
import { selectionText } from "../selection-text.ts";
import { formatPairs, formatTable, printable } from "../table.ts";
import type { Inspection } from "./contract.ts";

export function inspectManifest(manifest: Manifest): Inspection {
  const { domains, files, selection, notes, unit } = manifest;
  const floored = domains.some((domain) => domain.minShare > 0);
  const byTokens = unit.kind === "tokens";
  const bounds = boundsInForce(manifest);
  const bound = bounds.some((by) => by !== "");
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  const sum = (pick: (domain: Manifest["domains"][number]) => number) =>
    domains.reduce((total, domain) => total + pick(domain), 0);
  return {
    kind: "manifest of a resampled set",
    // The files may be a million; the manifest itself has them.
    facts: { manifest: { ...manifest, files: files.length } },
    lines: [
      ...formatPairs([
        ["pipeline", manifest.name],
        ["made by", manifest.generator],
        ["tokenizer", `${manifest.tokenizer.name} (${formatInteger(manifest.tokenizer.vocabularySize)} ids)`],
        ["weights", `${manifest.weightsFrom}, by ${unitText(unit)}`],
        [
          "budget",
          `${formatInteger(manifest.budgetTokens)} tokens, achieved ${formatInteger(manifest.achievedTokens)}`,
        ],
        ["choice", selectionText(manifest)],
        ["seed", `${manifest.seed}, ${manifest.rng}`],
        ["held out", heldOutText(manifest.heldOut)],
        ["files", `${plural(files.length, "file")}, ${formatBytes(bytes)}, below ${manifest.root}`],
        [
          "selection",
          `${selection.path}, ${plural(selection.documents, "document")} in ${plural(selection.rows, "run")} of rows`,
        ],
      ]),
      "",
      ...formatTable(
        [
          { header: "domain", align: "left" },
          { header: "documents" },
          { header: "tokens" },
          { header: "weight" },
          ...(byTokens ? [] : [{ header: "weight\nby tokens" }]),
          ...(floored ? [{ header: "least\nshare" }] : []),
          { header: "achieved\nweight" },
          { header: "achieved\ntokens" },
          { header: "selected\ndocuments" },
          { header: "epochs" },
          { header: "most\nepochs" },
          ...(bound ? [{ header: "bound by", align: "left" } as const] : []),
        ],
        domains.map((domain, i) => [
          domain.name,
          formatInteger(domain.documents),
          formatInteger(domain.tokens),
          domain.weight.toFixed(4),
          ...(byTokens ? [] : [domain.tokenWeight.toFixed(4)]),
          ...(floored ? [domain.minShare === 0 ? "–" : domain.minShare.toFixed(4)] : []),
          domain.achievedWeight.toFixed(4),
          formatInteger(domain.achievedTokens),
          formatInteger(domain.selectedDocuments),
          domain.epochs.toFixed(2),
          domain.maxEpochs === null ? "–" : String(domain.maxEpochs),
          ...(bound ? [bounds[i]!] : []),
        ]),
        [
          [
            "total",
            formatInteger(sum((domain) => domain.documents)),
            formatInteger(sum((domain) => domain.tokens)),
            "",
            ...(byTokens ? [] : [""]),
            ...(floored ? [""] : []),
            "",
            formatInteger(sum((domain) => domain.achievedTokens)),
            formatInteger(sum((domain) => domain.selectedDocuments)),
          ],
        ],
      ),
      ...notes.map((note) => `note: ${printable(note)}`),
    ],
  };
}

/** What decided each target beside the weight; nothing where the manifest's numbers are none that an allocation gives. */
function boundsInForce({ domains, budgetTokens }: Manifest): string[] {
  try {
    return decisionsOf(
      domains.map((domain) => domain.tokenWeight),
      budgetTokens,
      domains.map(({ minShare }) => floorTokens(minShare, budgetTokens)),
      domains.map(({ maxEpochs, tokens }) => (maxEpochs === null ? null : capTokens(maxEpochs, tokens))),
      domains.map((domain) => domain.targetTokens),
    ).map(({ capped, floored }) => (capped ? "epochs" : floored ? "least share" : ""));
  } catch {
    return domains.map(() => "");
  }
}

function heldOutText(rule: Manifest["heldOut"]): string {
  switch (rule.kind) {
    case "none":
      return "nothing";
    case "files":
      return "whole files";
    case "fraction":
      return `${rule.fraction * 100}% of each domain's documents, at least ${rule.minDocuments}`;
    default:
      return rule satisfies never;
  }
}
