/** What several trainings came to: the weights of each round and seed. */
import type { MixtureOutput } from "../../stages/mixture/contract.ts";
import { formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";

export function inspectRounds(mixture: MixtureOutput): Inspection {
  const { rounds, notes } = mixture;
  const columns = rounds.flatMap(({ round, weights, spread, seeds }) => [
    ...(seeds.length === 1
      ? []
      : seeds.map((seed, index) => ({
          header: `round ${round}\nseed ${index + 1}`,
          weights: seed.weights,
          spread: null,
        }))),
    { header: seeds.length === 1 ? `round ${round}` : `round ${round}\nmean`, weights, spread },
  ]);
  const reference = { header: "reference of\nround 1", weights: rounds[0]!.referenceWeights, spread: null };
  const shown = [reference, ...columns];
  return {
    kind: "domain weights of several trainings",
    facts: mixture,
    lines: [
      ...formatTable(
        [{ header: "domain", align: "left" }, ...shown.map(({ header }) => ({ header }))],
        Object.keys(mixture.weights).map((name) => [
          name,
          ...shown.map(
            ({ weights, spread }) =>
              weights[name]!.toFixed(4) + (spread ? ` ± ${spread.deviation[name]!.toFixed(4)}` : ""),
          ),
        ]),
      ),
      ...notes.map((note) => `note: ${note}`),
    ],
  };
}
