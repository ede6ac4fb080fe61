/** A manifest as text: what was chosen of each domain and why. */
import type { Manifest } from "../../manifest/contract.ts";
import { formatBytes, formatInteger, plural } from "../numbers.ts";
import { formatPairs, formatTable, printable } from "../table.ts";
import type { Inspection } from "./contract.ts";

export function inspectManifest(manifest: Manifest): Inspection {
  const { domains, files, selection, notes } = manifest;
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
        ["weights", manifest.weightsFrom],
        [
          "budget",
          `${formatInteger(manifest.budgetTokens)} tokens, achieved ${formatInteger(manifest.achievedTokens)}`,
        ],
        ["seed", String(manifest.seed)],
        ["held out", heldOutText(manifest.heldOut)],
        ["files", `${plural(files.length, "file")}, ${formatBytes(bytes)}, below ${manifest.root}`],
        ["selection", `${selection.path}, ${plural(selection.rows, "run")} of rows`],
      ]),
      "",
      ...formatTable(
        [
          { header: "domain", align: "left" },
          { header: "documents" },
          { header: "tokens" },
          { header: "weight" },
          { header: "achieved\nweight" },
          { header: "achieved\ntokens" },
          { header: "selected\ndocuments" },
          { header: "epochs" },
          { header: "most\nepochs" },
        ],
        domains.map((domain) => [
          domain.name,
          formatInteger(domain.documents),
          formatInteger(domain.tokens),
          domain.weight.toFixed(4),
          domain.achievedWeight.toFixed(4),
          formatInteger(domain.achievedTokens),
          formatInteger(domain.selectedDocuments),
          domain.epochs.toFixed(2),
          domain.maxEpochs === null ? "–" : String(domain.maxEpochs),
        ]),
        [
          [
            "total",
            formatInteger(sum((domain) => domain.documents)),
            formatInteger(sum((domain) => domain.tokens)),
            "",
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
