/** What the run began with, what it learned and what the set came to; and how often each domain is read for it. */
import type { Chart } from "./contract.ts";
import { drawRows } from "./rows.ts";
import { otherShares } from "./shares.ts";
import { axisPercent, integer, percent, short } from "./text.ts";

export const weights: Chart = {
  id: "weights",
  title: "Domain weights",
  caption: ({ weights: found }) =>
    `Baseline weights (${found?.baselineFrom ?? "natural"})${found?.learned ? `, weights of ${found.learnedFrom}` : ""}${found?.set ? `, and what the resampled set holds of each domain, by its ${found.set.unit}` : ""}.`,
  draw({ domains, weights: found }, view) {
    if (!found) return null;
    const { rows, others } = view;
    const by = (values: readonly number[]) => rows.map((k) => values[k]!);
    const { baseline, learned, set } = found;
    const measures = [
      { name: "baseline", values: by(baseline) },
      ...(learned ? [{ name: "learned", values: by(learned) }] : []),
      ...(set ? [{ name: "achieved", values: by(set.achieved) }] : []),
    ];
    return drawRows(
      view,
      {
        names: rows.map((k) => domains[k]!),
        ...{ measures, dodge: true, format: percent, axisFormat: axisPercent, logarithmic: view.logarithmic },
        axis: "domain weight",
        notes: (row) => {
          const [before, after] = [by(baseline)[row]!, learned && by(learned)[row]!];
          return after && before > 0 ? [`learned ÷ baseline: ${(after / before).toFixed(2)}`] : [];
        },
      },
      `Dot plot of the ${measures.map(({ name }) => name).join(", ")} weights of ${rows.length} domains.`,
      otherShares(others, learned ?? baseline, learned ? "of the learned weights" : "of the weights"),
    );
  },
};

export const epochs: Chart = {
  id: "epochs",
  title: "Epochs",
  caption: ({ weights: found }) =>
    `How often the resampled set of ${short(found?.set?.achievedTokens ?? 0)} tokens goes through what there is of each domain, and the most that it may. Below 1, a part of the domain is left unused.`,
  draw({ domains, weights: found }, view) {
    if (!found?.set) return null;
    const { epochs: all, maxEpochs, capped, floored } = found.set;
    const { rows } = view;
    const names = rows.map((k) => domains[k]!);
    const caps = rows.map((k) => maxEpochs[k] ?? Number.NaN);
    return drawRows(
      view,
      {
        names,
        measures: [
          { name: "epochs", values: rows.map((k) => all[k]!) },
          ...(caps.some(Number.isFinite) ? [{ name: "cap", values: caps }] : []),
        ],
        ...{
          axis: "epochs",
          format: (value: number) => value.toFixed(2),
          axisFormat: (value: number) => String(value),
          zero: 1,
          dodge: true,
        },
        notes: (row) => [
          ...(capped[rows[row]!] ? ["at its cap"] : []),
          ...(floored[rows[row]!] ? ["at its least share"] : []),
        ],
      },
      `Dot plot of the epochs of ${names.length} domains, with their caps.`,
      view.others.length > 0 ? `${integer(view.others.length)} more domains are in the table below.` : undefined,
    );
  },
};
