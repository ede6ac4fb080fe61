/** A report as files: Markdown for people, CSV for their plots. Pure. */
import { csvLine } from "../../lib/csv.ts";
import { meanCurve } from "../../mixture/speed-up.ts";
import type { EvaluateOutput } from "./contract.ts";
import { type ReportTable, reportTables } from "./tables.ts";

export function reportMarkdown(report: EvaluateOutput): string {
  const { pipeline, comparisons, warnings, steps, tokensEach, seeds, model } = report;
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [`## ${title}`, "", ...lines, ""];
  const bullets = (texts: readonly string[]) => texts.map((text) => `- ${text}`);
  return [
    `# ${pipeline}: what the weights are worth`,
    "",
    `Main models of ${model.architecture}, ${model.layers} layers of width ${model.width}, ${steps} steps or ${tokensEach} tokens each, ` +
      `${seeds.length} ${seeds.length === 1 ? "seed" : "seeds"}. Same seed, same initial weights and same draws; same held-out documents for all. ` +
      "Intervals count chance between seeds (initial weights and order) and between held-out documents.",
    "",
    ...bullets(comparisons.map(({ conclusion }) => conclusion)),
    "",
    ...reportTables(report).flatMap((table) => section(table.title, markdownTable(table))),
    ...section("Held-out loss on the way, mean over the domains", markdownTable(curveTable(report))),
    ...section("To mind", bullets(warnings)),
  ].join("\n");
}

function markdownTable({ columns, rows }: Pick<ReportTable, "columns" | "rows">): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  return [
    line(columns.map(({ header }) => header)),
    line(columns.map(({ align }) => (align === "left" ? "---" : "--:"))),
    ...rows.map(line),
  ];
}

function curveTable({ mixtures }: EvaluateOutput): Pick<ReportTable, "columns" | "rows"> {
  const curves = mixtures.map(({ curve }) => meanCurve(curve));
  return {
    columns: [{ header: "steps" }, ...mixtures.map(({ name }) => ({ header: name }))],
    rows: (mixtures[0]?.curve.steps ?? []).map((steps, e) => [
      String(steps),
      ...curves.map((curve) => curve[e]!.toFixed(3)),
    ]),
  };
}

const CSV_COLUMNS = [
  "mixture",
  "domain",
  "weight",
  "epochs",
  "loss",
  "loss_low",
  "loss_high",
  "perplexity",
  "difference",
  "difference_low",
  "difference_high",
  "verdict",
] as const;

/** A row per mixture and domain; what there is none of is empty. */
export function reportCsv({ domains, mixtures, comparisons }: EvaluateOutput): string {
  const rows = mixtures.flatMap(({ name, domains: own }) =>
    own.map(({ weight, epochs, loss, perplexity }, k) => {
      const domain = domains[k]!.name;
      const compared = comparisons
        .find(({ candidate }) => candidate === name)
        ?.domains.find((other) => other.name === domain);
      return [
        name,
        domain,
        weight,
        epochs,
        loss?.mean,
        loss?.interval?.low,
        loss?.interval?.high,
        perplexity,
        compared?.difference.mean,
        compared?.difference.interval?.low,
        compared?.difference.interval?.high,
        compared?.verdict,
      ];
    }),
  );
  return [CSV_COLUMNS, ...rows].map(csvLine).join("");
}
