/** Two mixtures beside each other: domains, averages, the worst domain, and how soon one is as good as the other. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareMixtures, domainLosses, type HeldOutDomain, type MixtureLosses } from "../../src/mixture/comparison.ts";
import { averageCurves, type LossCurve, meanCurve, speedUp } from "../../src/mixture/speed-up.ts";

const DOMAINS: HeldOutDomain[] = [
  { name: "easy", share: 0.6, sizes: [100, 300] },
  { name: "empty", share: 0.2, sizes: [] },
  { name: "hard", share: 0.2, sizes: [50, 50] },
];

/** @param easy, hard losses of the two documents of each, by seed */
const mixture = (name: string, easy: number[][], hard: number[][]): MixtureLosses => ({
  name,
  documents: easy.map((losses, s) => [losses, [], hard[s]!]),
});

describe("compareMixtures", () => {
  const baseline = mixture(
    "natural",
    [
      [2, 2.4],
      [2.02, 2.41],
    ],
    [
      [5, 5.2],
      [5.01, 5.19],
    ],
  );
  const candidate = mixture(
    "learned",
    [
      [2.1, 2.5],
      [2.121, 2.512],
    ],
    [
      [4, 4.2],
      [4.011, 4.191],
    ],
  );
  const compared = compareMixtures(DOMAINS, baseline, candidate);

  it("weighs documents by their tokens and leaves out domains that hold nothing out", () => {
    expect(compared.domains.map(({ name }) => name)).toEqual(["easy", "hard"]);
    const [easy, hard] = compared.domains;
    expect(easy!.baseline.mean).toBeCloseTo((2.3 + (2.02 + 3 * 2.41) / 4) / 2, 12);
    expect(hard!.difference.mean).toBeCloseTo(hard!.candidate.mean - hard!.baseline.mean, 12);
    expect(domainLosses(DOMAINS, baseline).map((loss) => loss?.mean ?? null)).toEqual([
      easy!.baseline.mean,
      null,
      hard!.baseline.mean,
    ]);
  });

  it("averages over domains, and by their shares of the corpus", () => {
    const [easy, hard] = compared.domains.map(({ difference }) => difference.mean) as [number, number];
    expect(compared.average.difference.mean).toBeCloseTo((easy + hard) / 2, 12);
    expect(compared.weighted.difference.mean).toBeCloseTo(0.75 * easy + 0.25 * hard, 12);
  });

  it("says who wins where, the baseline as well", () => {
    expect(compared.domains.map(({ verdict }) => verdict)).toEqual(["loses", "wins"]);
    expect(compared).toMatchObject({ wins: 1, losses: 1, undecided: 0, lower: 1 });
    const turned = compareMixtures(DOMAINS, candidate, baseline);
    expect(turned.domains.map(({ verdict }) => verdict)).toEqual(["wins", "loses"]);
  });

  it("calls a difference that its documents disagree about noise", () => {
    const mixed = mixture(
      "mixed",
      [
        [1.5, 2.9],
        [1.6, 2.8],
      ],
      [
        [5, 5.2],
        [5.01, 5.19],
      ],
    );
    const { domains, undecided } = compareMixtures(DOMAINS, baseline, mixed);
    expect(domains.map(({ verdict }) => verdict)).toEqual(["inside the noise", "inside the noise"]);
    expect(undecided).toBe(2);
  });

  it("compares the worst domains, also where they are two", () => {
    expect(compared.worst).toMatchObject({ baselineDomain: "hard", candidateDomain: "hard", verdict: "wins" });
    const other = mixture(
      "other",
      [
        [6, 6],
        [6.01, 6.01],
      ],
      [
        [1, 1],
        [1, 1],
      ],
    );
    const { worst } = compareMixtures(DOMAINS, baseline, other);
    expect(worst).toMatchObject({ baselineDomain: "hard", candidateDomain: "easy" });
    expect(worst.difference.mean).toBeCloseTo(6.005 - 5.1, 12);
  });

  it("of any losses gives the opposite when the two change places", () => {
    const losses = fc.array(fc.array(fc.double({ min: 0, max: 12, noNaN: true }), { minLength: 4, maxLength: 4 }), {
      minLength: 3,
      maxLength: 3,
    });
    fc.assert(
      fc.property(losses, losses, (a, b) => {
        const of = (name: string, all: number[][]) =>
          mixture(
            name,
            all.map((row) => row.slice(0, 2)),
            all.map((row) => row.slice(2)),
          );
        const there = compareMixtures(DOMAINS, of("a", a), of("b", b));
        const back = compareMixtures(DOMAINS, of("b", b), of("a", a));
        for (const kind of ["average", "weighted", "worst"] as const) {
          expect(back[kind].difference.mean).toBeCloseTo(-there[kind].difference.mean, 9);
          expect(back[kind].difference.interval!.low).toBeCloseTo(-there[kind].difference.interval!.high, 6);
        }
        expect([back.wins, back.losses]).toEqual([there.losses, there.wins]);
      }),
      { numRuns: 50 },
    );
  });

  it("needs a domain that holds something out", () => {
    expect(() =>
      compareMixtures([DOMAINS[1]!], { name: "a", documents: [[[]]] }, { name: "b", documents: [[[]]] }),
    ).toThrow(/no domain holds anything out/);
  });
});

describe("speedUp", () => {
  /** Two domains, of which one holds nothing out. */
  const curve = (...losses: number[]): LossCurve => ({
    steps: [100, 200, 300, 400],
    loss: losses.map((loss) => [loss, null]),
  });

  it("is where the candidate's curve comes down to the baseline's end, between the looks", () => {
    const found = speedUp([curve(5, 4, 3.5, 3)], [curve(4, 3.5, 2.5, 2)]);
    expect(found).toEqual({ steps: 250, share: 0.625, factor: 1.6, bySeed: [0.625] });
  });

  it("is never where it does not, the first look where it is there at once, and all steps where the two are the same", () => {
    expect(speedUp([curve(5, 4, 3.5, 3)], [curve(6, 5, 4.5, 4)])).toEqual({
      steps: null,
      share: null,
      factor: null,
      bySeed: [null],
    });
    expect(speedUp([curve(5, 4, 3.5, 3)], [curve(3, 2, 2, 2)]).steps).toBe(100);
    expect(speedUp([curve(5, 4, 3.5, 3)], [curve(5, 4, 3.5, 3)])).toMatchObject({ steps: 400, factor: 1 });
  });

  it("takes the mean of the seeds, and each seed against its own baseline", () => {
    const found = speedUp([curve(5, 4, 3.5, 3), curve(5, 4, 3.5, 2)], [curve(5, 4, 3, 2.9), curve(5, 4, 2.4, 2.1)]);
    expect(
      averageCurves([
        [1, 2],
        [3, 6],
      ]),
    ).toEqual([2, 4]);
    expect(
      meanCurve({
        loss: [
          [1, null, 3],
          [2, null, 2],
        ],
      }),
    ).toEqual([2, 2]);
    // mean curves 5 4 2.7 2.5 and, of the baseline in the end, 2.5
    expect(found.steps).toBeCloseTo(400, 9);
    expect(found.bySeed).toEqual([0.75, null]);
  });
});
