/** What makes an evaluation say less than it seems to, each with what to change. Pure. */
import type { EvaluateOutput } from "./contract.ts";

type Described = Pick<EvaluateOutput, "domains" | "mixtures">;

/** Repeating text up to four times is nearly as good as new text (Muennighoff et al. 2023, arXiv 2305.16264). */
const HARMLESS_EPOCHS = 4;
/** A domain's intervals rest on its documents: fewer say little. */
const FEW_DOCUMENTS = 4;
/** Of the loss of a domain, nats, above its lowest on the way: more than the noise of a look. */
const RISE = 0.02;

export function warningsOf({ domains, mixtures }: Described, seeds: number): string[] {
  return [
    ...(seeds === 1
      ? [
          "one seed: the intervals say what other held-out documents would, not what another training would; set evaluate.seeds to 3",
        ]
      : []),
    ...unseen(domains),
    ...few(domains),
    ...mixtures.flatMap(({ name, sameAs }) =>
      sameAs === null ? [] : [`${name} has the weights of ${sameAs}, and its models were not trained twice`],
    ),
    ...mixtures
      .filter(({ sameAs }) => sameAs === null)
      .flatMap((mixture) => [...repeated(domains, mixture), ...overfitted(domains, mixture)]),
  ];
}

function unseen(domains: Described["domains"]): string[] {
  const names = domains.filter((domain) => domain.heldOutDocuments === 0).map((domain) => domain.name);
  return names.length === 0
    ? []
    : [
        `nothing is held out of ${list(names)}, so no average counts ${names.length === 1 ? "it" : "them"}; see data.heldOut`,
      ];
}

function few(domains: Described["domains"]): string[] {
  const names = domains
    .filter(({ heldOutDocuments: count }) => count > 0 && count < FEW_DOCUMENTS)
    .map(
      ({ name, heldOutDocuments: count }) => `${name} (${count === 1 ? "1, whose choice no interval counts" : count})`,
    );
  return names.length === 0
    ? []
    : [`few held-out documents, so wide intervals: ${list(names)}; raise data.heldOut.minDocuments`];
}

function repeated(domains: Described["domains"], { name, domains: own }: Described["mixtures"][number]): string[] {
  const often = own.flatMap(({ epochs }, k) =>
    epochs > HARMLESS_EPOCHS ? [`${domains[k]!.name} ${epochs.toFixed(1)} times`] : [],
  );
  return often.length === 0
    ? []
    : [
        `${name} repeats ${list(often)}; beyond ${HARMLESS_EPOCHS} times text teaches little that is new and is learned by heart: fewer steps, more text, or weights with a cap (unimax) would tell how much that matters`,
      ];
}

function overfitted(
  domains: Described["domains"],
  { name, domains: own, curve }: Described["mixtures"][number],
): string[] {
  return own.flatMap(({ epochs, weight }, k) => {
    const losses = curve.loss.map((loss) => loss[k]!);
    const last = losses.at(-1);
    if (last === undefined || last === null) return [];
    const lowest = losses.reduce((least, loss, e) => (loss! < losses[least]! ? e : least), 0);
    if (last - losses[lowest]! < RISE) return [];
    const why =
      epochs > 1
        ? `overfitting of a domain that is read ${epochs.toFixed(1)} times`
        : `its weight of ${weight.toFixed(4)} is little, and the other domains push it out`;
    return [
      `held-out loss of ${domains[k]!.name} under ${name} rose from ${losses[lowest]!.toFixed(3)} after ${curve.steps[lowest]} steps to ${last.toFixed(3)} at the end: ${why}`,
    ];
  });
}

function list(names: readonly string[]): string {
  return names.join(", ");
}
