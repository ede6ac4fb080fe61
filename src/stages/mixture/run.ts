/**
 * mixture: where a pipeline trains more than one proxy, what their weights come to: the mean over the seeds of the last
 * round, how far the seeds lie apart, and what each round changed.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { largestChange, spreadWeights } from "../../mixture/replicates.ts";
import { reporter, type Stage } from "../stage.ts";
import { byName } from "../training.ts";
import { type MixtureInput, type MixtureOutput, type MixtureRound, mixtureInput, mixtureOutput } from "./contract.ts";

export const MIXTURE_WEIGHTS = "weights.json";
/** All that the output says; as a file, for other programs. */
export const ROUNDS = "rounds.json";

export const mixture: Stage<MixtureInput, MixtureOutput> = {
  name: "mixture",
  version: 1,
  reads: [],
  input: mixtureInput,
  output: mixtureOutput,
  async run(input, context) {
    const output = combine(input);
    const report = reporter(context, "mixture");
    for (const note of output.notes) report.note(note);
    const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
    await writeFileAtomic(join(context.folder, MIXTURE_WEIGHTS), json(output.weights));
    await writeFileAtomic(join(context.folder, ROUNDS), json(output));
    return output;
  },
};

/** @param input at least one round, of at least one seed each */
export function combine({ domains, reference, tolerance, rounds }: MixtureInput): MixtureOutput {
  let before: readonly number[] = reference;
  const combined = rounds.map((seeds, index): MixtureRound => {
    const { mean, deviation, least, most } = spreadWeights(seeds.map(({ weights }) => weights));
    const { change, domain } = largestChange(before, mean);
    const referenceWeights = byName(domains, before);
    before = mean;
    return {
      round: index + 1,
      referenceWeights,
      weights: byName(domains, mean),
      change,
      changedMost: domains[domain]!,
      spread: deviation && {
        deviation: byName(domains, deviation),
        min: byName(domains, least),
        max: byName(domains, most),
      },
      seeds: seeds.map(({ stage, seed, weights }) => ({ stage, seed, weights: byName(domains, weights) })),
    };
  });
  const last = combined.at(-1)!;
  const converged = tolerance === null ? null : last.change < tolerance;
  return {
    format: "doremi-rounds",
    weights: last.weights,
    rounds: combined,
    converged,
    notes: [...describeRounds(combined, tolerance), ...describeSpread(last)],
  };
}

function describeRounds(rounds: readonly MixtureRound[], tolerance: number | null): string[] {
  const { change, changedMost } = rounds.at(-1)!;
  const changed = `the last changed the weight of “${changedMost}” by ${figure(change)}`;
  if (tolerance !== null && change < tolerance) {
    return [`the weights settled in round ${rounds.length}: none changed by ${tolerance} or more`];
  }
  if (tolerance !== null) {
    return [
      `the weights had not settled after ${rounds.length} rounds, the limit: ${changed}, and the tolerance is ${tolerance}; ` +
        "raise train.rounds.limit, or train each model longer (steps) or several (seeds), as chance may move them by more than that",
    ];
  }
  return rounds.length === 1 ? [] : [`${rounds.length} rounds: ${changed}`];
}

/** The domain of which the seeds say the least. */
function describeSpread({ weights, spread, seeds }: MixtureRound): string[] {
  if (!spread) return [];
  const { deviation, min, max } = spread;
  const [name, largest] = Object.entries(deviation).reduce((most, entry) => (entry[1] > most[1] ? entry : most));
  return [
    `the weights are the mean of ${seeds.length} seeds, which differ most on “${name}”: ` +
      `${figure(weights[name]!)} ± ${figure(largest)} (standard deviation), from ${figure(min[name]!)} to ${figure(max[name]!)}`,
  ];
}

/** A weight, or a difference of weights: tenths of per mille. */
function figure(weight: number): string {
  return weight > 0 && weight < 1e-4 ? weight.toExponential(1) : weight.toFixed(4);
}
