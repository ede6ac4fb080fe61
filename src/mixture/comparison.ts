/**
 * Two mixtures beside each other, by the held-out losses of models that were trained on them: domain by domain, on average
 * and in the worst domain, as tables 3 to 7 of Xie et al. 2023 do, and with an interval each. Losses are nats per token;
 * perplexity is their exponential. Numbers only: files and words are for others.
 */
import { type Estimate, estimate, type Part } from "./statistics.ts";

/** Held-out documents of a domain, the same for every mixture. */
export interface HeldOutDomain {
  readonly name: string;
  /** share of the corpus's tokens; the token-weighted average counts by it */
  readonly share: number;
  /** of each document; empty where the domain holds nothing out */
  readonly sizes: readonly number[]; // [J]
}

/** What the models trained on one mixture came to; one entry per seed, the same seeds for every mixture. */
export interface MixtureLosses {
  readonly name: string;
  /** mean loss of each document, by seed and domain */
  readonly documents: readonly (readonly (readonly number[])[])[]; // [S][K][J]
}

/** wins: the candidate's loss is lower by more than chance explains. */
export type Verdict = "wins" | "loses" | "inside the noise";

/** Of a loss: baseline's, candidate's, and candidate − baseline. */
export interface Difference {
  readonly baseline: Estimate;
  readonly candidate: Estimate;
  readonly difference: Estimate;
  readonly verdict: Verdict;
}

export interface Comparison {
  readonly baseline: string;
  readonly candidate: string;
  /** of the domains that hold something out, in their order */
  readonly domains: readonly (Difference & { readonly name: string })[];
  /** every domain counts the same */
  readonly average: Difference;
  /** by the domains' shares of the corpus's tokens */
  readonly weighted: Difference;
  /** the domain of the highest loss, which need not be the same for both */
  readonly worst: Difference & { readonly baselineDomain: string; readonly candidateDomain: string };
  readonly wins: number;
  readonly losses: number;
  readonly undecided: number;
  /** domains of lower loss, whatever chance explains: the paper's count */
  readonly lower: number;
}

/** @throws RangeError where no domain holds anything out */
export function compareMixtures(
  domains: readonly HeldOutDomain[],
  baseline: MixtureLosses,
  candidate: MixtureLosses,
): Comparison {
  const known = knownDomains(domains);
  const seen = known.map((k) => domains[k]!);
  const differences = candidate.documents.map((byDomain, s) =>
    byDomain.map((losses, k) => losses.map((loss, j) => loss - baseline.documents[s]![k]![j]!)),
  );
  const parts = (shares: readonly number[]): Difference => {
    const of = (documents: MixtureLosses["documents"]) =>
      estimate(known.flatMap((k, i) => (shares[i] === 0 ? [] : [part(domains[k]!, documents, k, shares[i]!)])));
    return judged(of(baseline.documents), of(candidate.documents), of(differences));
  };
  const single = seen.map((domain, i) => ({ name: domain.name, ...parts(seen.map((_, at) => (at === i ? 1 : 0))) }));
  const total = seen.reduce((sum, domain) => sum + domain.share, 0);
  const count = (verdict: Verdict) => single.filter((domain) => domain.verdict === verdict).length;
  return {
    baseline: baseline.name,
    candidate: candidate.name,
    domains: single,
    average: parts(seen.map(() => 1 / seen.length)),
    weighted: parts(seen.map(({ share }) => (total === 0 ? 1 / seen.length : share / total))),
    worst: worstOf(domains, known, single, baseline, candidate),
    wins: count("wins"),
    losses: count("loses"),
    undecided: count("inside the noise"),
    lower: single.filter(({ difference }) => difference.mean < 0).length,
  };
}

/** Of one mixture: the loss of each domain, null where it holds nothing out, and the highest of them. */
export function domainLosses(domains: readonly HeldOutDomain[], mixture: MixtureLosses): (Estimate | null)[] {
  return domains.map((domain, k) =>
    domain.sizes.length === 0 ? null : estimate([part(domain, mixture.documents, k, 1)]),
  );
}

function worstOf(
  domains: readonly HeldOutDomain[],
  known: readonly number[],
  single: Comparison["domains"],
  baseline: MixtureLosses,
  candidate: MixtureLosses,
): Comparison["worst"] {
  const highest = (side: "baseline" | "candidate") =>
    single.reduce((worst, domain, i) => (domain[side].mean > single[worst]![side].mean ? i : worst), 0);
  const [b, c] = [highest("baseline"), highest("candidate")];
  const names = { baselineDomain: single[b]!.name, candidateDomain: single[c]!.name };
  if (b === c) {
    const { name: _, ...same } = single[b]!;
    return { ...names, ...same };
  }
  // Documents of two domains: nothing pairs them but the seed.
  const difference = estimate([
    part(domains[known[c]!]!, candidate.documents, known[c]!, 1),
    part(domains[known[b]!]!, baseline.documents, known[b]!, -1),
  ]);
  return { ...names, ...judged(single[b]!.baseline, single[c]!.candidate, difference) };
}

function knownDomains(domains: readonly HeldOutDomain[]): number[] {
  const known = domains.flatMap((domain, k) => (domain.sizes.length === 0 ? [] : [k]));
  if (known.length === 0) throw new RangeError("comparison: no domain holds anything out");
  return known;
}

function part(domain: HeldOutDomain, documents: MixtureLosses["documents"], k: number, share: number): Part {
  return { values: documents.map((byDomain) => byDomain[k]!), sizes: domain.sizes, share };
}

function judged(baseline: Estimate, candidate: Estimate, difference: Estimate): Difference {
  return { baseline, candidate, difference, verdict: verdictOf(difference) };
}

/** A difference whose interval does not hold 0 is more than noise. */
export function verdictOf({ interval }: Pick<Estimate, "interval">): Verdict {
  if (interval && interval.high < 0) return "wins";
  if (interval && interval.low > 0) return "loses";
  return "inside the noise";
}
