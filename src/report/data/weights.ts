/** The weights of a run side by side: what it began with, what it learned, what the set came to; and those of its rounds. */
import type { LiveTraining } from "../live/state.ts";
import type { ReportRounds, ReportWeights } from "./contract.ts";
import type { StageOutputs } from "./outputs.ts";

export function reportWeights(
  { count, references, proxies, mixture, resample, manifest }: StageOutputs,
  trainings: readonly LiveTraining[],
  domains: readonly string[],
): ReportWeights | null {
  const by = (table: Readonly<Record<string, number>>) => domains.map((name) => table[name] ?? 0);
  const [reference] = references.values();
  const tokenizer = count?.tokenizers[0]?.name;
  const shares = count && tokenizer !== undefined ? count.domains.map(({ share }) => share[tokenizer] ?? 0) : undefined;
  const baseline = reference ? by(reference.weights) : shares;
  if (!baseline) return null;
  const learned = learnedWeights({ mixture, proxies }, trainings, domains);
  const inSet = manifest && domains.map((name) => manifest.domains.find((domain) => domain.name === name));
  const decided = domains.map((name) => resample?.domains.find((domain) => domain.name === name));
  const given = manifest && !learned ? inSet!.map((domain) => domain?.weight ?? 0) : undefined;
  return {
    baseline,
    baselineFrom: reference ? reference.weightsFrom : "shares of the tokens",
    learned: learned?.weights ?? given ?? null,
    learnedFrom: learned?.from ?? (given ? manifest!.weightsFrom : null),
    set: manifest
      ? {
          unit: manifest.unit.kind === "sequences" ? `sequences of ${manifest.unit.length}` : manifest.unit.kind,
          budgetTokens: manifest.budgetTokens,
          achievedTokens: manifest.achievedTokens,
          target: inSet!.map((domain) => domain?.targetWeight ?? 0),
          achieved: inSet!.map((domain) => domain?.achievedWeight ?? 0),
          epochs: inSet!.map((domain) => domain?.epochs ?? 0),
          maxEpochs: inSet!.map((domain) => domain?.maxEpochs ?? null),
          capped: decided.map((domain) => domain?.capped ?? false),
          floored: decided.map((domain) => domain?.floored ?? false),
          selectedDocuments: inSet!.map((domain) => domain?.selectedDocuments ?? 0),
        }
      : null,
  };
}

/** The mixture of all trainings, the proxy's, or what a proxy that is not done has come to. */
function learnedWeights(
  { mixture, proxies }: Pick<StageOutputs, "mixture" | "proxies">,
  trainings: readonly LiveTraining[],
  domains: readonly string[],
): { weights: readonly number[]; from: string } | undefined {
  const by = (table: Readonly<Record<string, number>>) => domains.map((name) => table[name] ?? 0);
  if (mixture) return { weights: by(mixture.weights), from: "the mean of the last round" };
  const live = trainings.findLast(({ series, finished }) => series.domains !== null && !finished);
  const proxy = proxies.get("proxy");
  if (proxy && !live) return { weights: by(proxy.weights), from: "the proxy" };
  if (!live) return undefined;
  const { average } = live.series.domains!;
  const last = Object.fromEntries(live.domains.map((name, k) => [name, average[k]!.extremes.last]));
  return { weights: by(last), from: `${live.stage} after ${live.series.steps} steps` };
}

export function reportRounds({ mixture }: StageOutputs, domains: readonly string[]): ReportRounds | null {
  if (!mixture) return null;
  const by = (table: Readonly<Record<string, number>>) => domains.map((name) => table[name] ?? 0);
  return {
    converged: mixture.converged,
    rounds: mixture.rounds.map(({ round, referenceWeights, weights, change, changedMost, seeds }) => ({
      ...{ round, change, changedMost },
      reference: by(referenceWeights),
      mean: by(weights),
      seeds: seeds.map(({ stage, weights: own }) => ({ stage, weights: by(own) })),
    })),
  };
}
