/** Shares of the domains by documents, by bytes, and by tokens under each tokenizer. */
import type { Chart } from "./contract.ts";
import { drawRows } from "./rows.ts";
import { axisPercent, integer, percent, short } from "./text.ts";

export const shares: Chart = {
  id: "shares",
  title: "Shares of the corpus",
  caption: ({ counts }) =>
    `The share of each domain depends on what is counted: documents, bytes, or tokens of ${counts && counts.tokenizers.length > 1 ? "one tokenizer or another" : "the tokenizer"}. Weights and budgets are by the tokens of ${counts?.tokenizers[0]?.name ?? "the first tokenizer"}.`,
  draw({ domains, counts }, view) {
    if (!counts) return null;
    const columns = [
      { name: "by documents", all: counts.documents },
      ...counts.tokenizers.map(({ name, tokens }) => ({ name: `by tokens (${name})`, all: tokens })),
    ];
    const { rows, others } = view;
    const measures = columns.map(({ name, all }) => {
      const total = all.reduce((sum, value) => sum + value, 0);
      return { name, values: rows.map((k) => (total === 0 ? Number.NaN : all[k]! / total)) };
    });
    return drawRows(
      view,
      {
        names: rows.map((k) => domains[k]!),
        ...{ measures, format: percent, axisFormat: axisPercent, logarithmic: view.logarithmic, dodge: true },
        axis: "share of the corpus",
        notes: (row) => [
          `${integer(counts.documents[rows[row]!]!)} documents`,
          ...counts.tokenizers.map(({ name, tokens }) => `${short(tokens[rows[row]!]!)} tokens (${name})`),
        ],
      },
      `Dot plot of the shares of ${rows.length} domains ${measures.map(({ name }) => name).join(", ")}.`,
      otherShares(others, counts.tokenizers[0]!.tokens, "of the tokens"),
    );
  },
};

/** What those have together that have no row. @param values shares, or what shares are of */
export function otherShares(others: readonly number[], values: readonly number[], what: string): string | undefined {
  if (others.length === 0) return undefined;
  const total = values.reduce((sum, value) => sum + value, 0);
  const rest = others.reduce((sum, k) => sum + (values[k] ?? 0), 0);
  return `${integer(others.length)} more ${others.length === 1 ? "domain has" : "domains have"} ${percent(total === 0 ? 0 : rest / total)} ${what}${others.length === 1 ? "" : " together"}.`;
}
