/** From what the main models came to, to the report: comparisons, conclusions, warnings. Pure. */
import { compareMixtures, domainLosses, type HeldOutDomain, type MixtureLosses } from "../../mixture/comparison.ts";
import { type LossCurve, speedUp } from "../../mixture/speed-up.ts";
import { CONFIDENCE } from "../../mixture/statistics.ts";
import { conclude } from "./conclusion.ts";
import type { EvaluateInput, EvaluateOutput } from "./contract.ts";
import { warningsOf } from "./warnings.ts";

type Mixture = EvaluateInput["mixtures"][number];

/** @throws RangeError where no domain holds anything out */
export function report(input: EvaluateInput): EvaluateOutput {
  const { pipeline, model, steps, batchSize, mixtures } = input;
  const baseline = mixtures[0]!;
  const first = baseline.runs[0]!;
  const domains = input.domains.map(
    ({ name, share }, k): HeldOutDomain => ({ name, share, sizes: first.documents[k]!.sizes }),
  );
  const comparisons = mixtures.slice(1).map((candidate): EvaluateOutput["comparisons"][number] => {
    const compared = compareMixtures(domains, lossesOf(baseline), lossesOf(candidate));
    const faster = first.curve.steps.length === 0 ? null : speedUp(curvesOf(baseline), curvesOf(candidate));
    const same = (candidate.sameAs ?? candidate.name) === (baseline.sameAs ?? baseline.name);
    const conclusion = conclude(compared, faster, same, baseline.runs.length);
    return {
      ...compared,
      conclusion,
      domains: [...compared.domains],
      speedUp: faster && { ...faster, bySeed: [...faster.bySeed] },
    };
  });
  const reported = mixtures.map((mixture) => reportedMixture(domains, mixture));
  const described = {
    domains: domains.map(({ name, share, sizes }) => ({
      name,
      share,
      heldOutDocuments: sizes.length,
      heldOutTokens: sizes.reduce((sum, size) => sum + size, 0),
    })),
    mixtures: reported,
  };
  return {
    format: "doremi-evaluation",
    pipeline,
    model,
    steps,
    batchSize,
    tokensEach: first.trainedTokens,
    seeds: baseline.runs.map((run) => run.seed),
    confidence: CONFIDENCE,
    ...described,
    comparisons,
    warnings: [
      ...warningsOf(described, baseline.runs.length),
      ...mixtures.flatMap(trainingWarnings),
      ...mixtures.flatMap((mixture) => mixture.notes),
    ],
  };
}

/** What went wrong in the trainings, once where it did for several seeds. */
function trainingWarnings({ name, sameAs, runs }: Mixture): string[] {
  if (sameAs !== null) return [];
  const first = new Map(
    runs
      .toReversed()
      .flatMap(({ seed, warnings }) =>
        warnings.map((found) => [`${found.code} ${found.domain}`, { seed, found }] as const),
      ),
  );
  return [...first.values()].map(({ seed, found }) => `${name}, seed ${seed}: ${found.message} [${found.code}]`);
}

function reportedMixture(domains: readonly HeldOutDomain[], mixture: Mixture): EvaluateOutput["mixtures"][number] {
  const { name, from, sameAs, weights, epochs, runs } = mixture;
  const losses = domainLosses(domains, lossesOf(mixture));
  return {
    name,
    from,
    sameAs,
    domains: weights.map((weight, k) => {
      const loss = losses[k]!;
      return { weight, epochs: epochs[k]!, loss, perplexity: loss && Math.exp(loss.mean) };
    }),
    curve: { steps: runs[0]!.curve.steps, loss: meanOverSeeds(curvesOf(mixture)) },
  };
}

function lossesOf({ name, runs }: Mixture): MixtureLosses {
  return { name, documents: runs.map((run) => run.documents.map(({ losses }) => losses)) };
}

function curvesOf({ runs }: Mixture): LossCurve[] {
  return runs.map((run) => run.curve);
}

function meanOverSeeds(curves: readonly LossCurve[]): (number | null)[][] {
  return curves[0]!.loss.map((losses, e) =>
    losses.map((loss, k) =>
      loss === null ? null : curves.reduce((sum, curve) => sum + curve.loss[e]![k]!, 0) / curves.length,
    ),
  );
}
