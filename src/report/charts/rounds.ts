/** The weights that rounds and seeds came to, beside each other. */
import type { Chart } from "./contract.ts";
import { drawRows } from "./rows.ts";
import { axisPercent, percent } from "./text.ts";

/** Rounds that have a marker of their own each: the first and the last ones. */
const ROUNDS_LIMIT = 4;

export const rounds: Chart = {
  id: "rounds",
  title: "Rounds and seeds",
  caption: ({ rounds: found }) => {
    const last = found?.rounds.at(-1);
    const seeds = last?.seeds.length ?? 1;
    const settled =
      found?.converged === null || found === null
        ? ""
        : found.converged
          ? " The weights have settled."
          : " The weights have not settled.";
    return `Learned weights of each round${seeds > 1 ? `, the mean of ${seeds} seeds with the smallest and the largest` : ""}. The last round changed the weight of ${last?.changedMost ?? "a domain"} most, by ${percent(last?.change ?? 0)} of all.${settled}`;
  },
  draw({ domains, rounds: found }, view) {
    if (!found) return null;
    const { rows } = view;
    const all = found.rounds;
    const shown = all.length <= ROUNDS_LIMIT ? all : [all[0]!, ...all.slice(1 - ROUNDS_LIMIT)];
    return drawRows(
      view,
      {
        names: rows.map((k) => domains[k]!),
        measures: shown.map(({ round, mean, seeds }) => {
          const own = rows.map((k) => seeds.map(({ weights }) => weights[k]!));
          return {
            name: `round ${round}`,
            values: rows.map((k) => mean[k]!),
            ...(seeds.length > 1 && {
              low: own.map((values) => Math.min(...values)),
              high: own.map((values) => Math.max(...values)),
            }),
          };
        }),
        ...{
          axis: "learned weight",
          format: percent,
          axisFormat: axisPercent,
          logarithmic: view.logarithmic,
          dodge: true,
        },
        notes: (row) =>
          all.at(-1)!.seeds.length > 1
            ? all.at(-1)!.seeds.map(({ stage, weights }) => `${stage}: ${percent(weights[rows[row]!]!)}`)
            : [],
      },
      `Dot plot of the weights of ${rows.length} domains after each of ${all.length} rounds.`,
    );
  },
};
