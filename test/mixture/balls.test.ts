import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Ball, bestResponse } from "../../src/mixture/objectives/best-response.ts";
import { chiSquare } from "../../src/mixture/objectives/chi-square-response.ts";
import { divergence } from "../../src/mixture/objectives/kl-response.ts";
import { expectClose, readGolden } from "./golden.ts";

interface Result {
  geometry: Ball["name"];
  size: number | "Infinity";
  reg?: number;
  value: number;
  weights: number[];
}
const ballOf = ({ geometry, size, reg = 0 }: Result): Ball => ({
  name: geometry,
  size: size === "Infinity" ? Number.POSITIVE_INFINITY : size,
  regularization: reg,
});
// The records' own: what their solvers, and fast-dro's bisection, are good for.
const WEIGHTS = 1e-7;
const VALUE = 1e-8;

describe("golden best responses", () => {
  const { cases } = readGolden<{ cases: { id: string; losses: number[]; results: Result[] }[] }>(
    "cvar_chi2/batch.json",
  );
  it("has cases", () => expect(cases.length).toBe(21));

  it.each(cases)("$id", ({ losses, results }) => {
    expect(results.length).toBe(26);
    for (const result of results) {
      const { weights, value } = bestResponse(losses, ballOf(result));
      expectClose(weights, result.weights, WEIGHTS, 1);
      expectClose([value], [result.value], VALUE, 1);
    }
  });

  const edge = readGolden<{ cases: (Result & { id: string; losses: number[] })[] }>("cvar_chi2/edge.json").cases;
  it("has edge cases", () => expect(edge.length).toBe(35));

  it.each(edge)("$id, $geometry $size", (result) => {
    const { weights, value } = bestResponse(result.losses, ballOf(result));
    expectClose([value], [result.value], VALUE, 1);
    // Many weights are best where losses tie at the edge of CVaR; ours treats equal losses alike.
    const unique = result.geometry !== "cvar" || new Set(result.losses).size === result.losses.length;
    if (unique) expectClose(weights, result.weights, WEIGHTS, 1);
    else for (const [i, j] of ties(result.losses)) expect(weights[i]).toBeCloseTo(weights[j]!, 14);
  });

  function ties(losses: readonly number[]): [number, number][] {
    return losses.flatMap((loss, i) =>
      losses.indexOf(loss) < i ? [[losses.indexOf(loss), i] as [number, number]] : [],
    );
  }
});

// Multiples of 1/1024, so that a shift by a whole number loses nothing; few levels, so that there are ties.
const loss = fc.oneof(
  fc.integer({ min: -1e4 * 1024, max: 1e4 * 1024 }).map((n) => n / 1024),
  fc.integer({ min: -4, max: 4 }).map((n) => n / 4),
);
const lossesOf = (maxLength: number) => fc.array(loss, { minLength: 1, maxLength });
const regularization = fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: 1e3, noNaN: true }));
const ball: fc.Arbitrary<Ball> = fc.oneof(
  fc.record({
    name: fc.constant("cvar" as const),
    size: fc.oneof(fc.constant(1), fc.double({ min: 1e-3, max: 1, noNaN: true })),
    regularization,
  }),
  fc.record({
    name: fc.constantFrom("chi-square" as const, "kl" as const),
    size: fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 1e-6, max: 20, noNaN: true })),
    regularization,
  }),
);

/** How far out of the ball; ≤ 0 inside. */
function excessOf({ name, size }: Ball, weights: Float64Array): number {
  if (name === "cvar") return Math.max(...weights) - Math.max(1 / (size * weights.length), 0);
  return (name === "kl" ? divergence(weights) : chiSquare(weights)) - size;
}

function valueAt(ball: Ball, losses: readonly number[], weights: Float64Array): number {
  const penalty = ball.name === "chi-square" ? chiSquare(weights) : divergence(weights);
  return losses.reduce((sum, x, i) => sum + x * weights[i]!, 0) - ball.regularization * penalty;
}

const magnitude = (losses: readonly number[]): number => Math.max(1, ...losses.map(Math.abs));
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);

describe("laws of best responses", () => {
  it("weights are a distribution in the ball; the value is what they give, and no less than the mean's", () => {
    fc.assert(
      fc.property(lossesOf(40), ball, (losses, ball) => {
        const { weights, value } = bestResponse(losses, ball);
        expect(weights.length).toBe(losses.length);
        expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
        expect(Math.abs(sum(weights) - 1)).toBeLessThan(1e-12);
        expect(excessOf(ball, weights)).toBeLessThan(1e-9 * Math.max(1, ball.size));
        expectClose([value], [valueAt(ball, losses, weights)], 1e-10, magnitude(losses));
        expect(value).toBeGreaterThanOrEqual(mean(losses) - 1e-10 * magnitude(losses));
        expect(value).toBeLessThanOrEqual(Math.max(...losses) + 1e-10 * magnitude(losses));
      }),
      { numRuns: 1000 },
    );
  });

  it("no other point of the ball gives more", () => {
    const point = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(lossesOf(12), ball, point, fc.boolean(), (losses, ball, masses, near) => {
        const { weights, value } = bestResponse(losses, ball);
        const m = losses.length;
        // Any distribution, or one near the best; drawn toward uniform until it is inside.
        const mass = Float64Array.from(losses, (_, i) => (near ? weights[i]! + masses[i]! / 100 : masses[i]! ** 4));
        const total = sum(mass);
        let other = mass.map((x) => (total > 0 ? x / total : 1 / m));
        for (let tries = 0; tries < 200 && excessOf(ball, other) > 0; tries++) {
          other = other.map((x) => 0.95 * x + 0.05 / m);
        }
        if (excessOf(ball, other) > 0) return;
        // Divergences are good to 1e-16, and what a radius is worth goes by its root.
        expect(valueAt(ball, losses, other)).toBeLessThanOrEqual(value + 5e-8 * magnitude(losses));
      }),
      { numRuns: 2000 },
    );
  });

  it("is what the dual problem says", () => {
    fc.assert(
      fc.property(lossesOf(12), ball, (losses, ball) => {
        const { value } = bestResponse(losses, { ...ball, regularization: 0 });
        expectClose([value], [dual(losses, ball)], 1e-7, magnitude(losses));
      }),
      { numRuns: 500 },
    );
  });

  it("depends on differences of losses only, and not on their order", () => {
    fc.assert(
      fc.property(
        lossesOf(30),
        ball,
        fc.integer({ min: -1e6, max: 1e6 }),
        fc.integer(),
        (losses, ball, shift, seed) => {
          const { weights, value } = bestResponse(losses, ball);
          const shifted = bestResponse(
            losses.map((x) => x + shift),
            ball,
          );
          expect([...shifted.weights]).toEqual([...weights]);
          expectClose([shifted.value], [value + shift], 1e-10, Math.abs(shift) + magnitude(losses));
          const order = losses.map((_, i) => i).sort((a, b) => ((a * 7919 + seed) % 31) - ((b * 7919 + seed) % 31));
          const permuted = bestResponse(
            order.map((i) => losses[i]!),
            ball,
          );
          expectClose(permuted.weights, [...order.map((i) => weights[i]!)], 1e-9, 1);
          for (const [i, x] of losses.entries()) {
            expect(Math.abs(weights[i]! - weights[losses.indexOf(x)]!)).toBeLessThan(1e-12);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("a larger ball gives no less, a larger penalty no more", () => {
    fc.assert(
      fc.property(lossesOf(20), ball, fc.double({ min: 1, max: 10, noNaN: true }), (losses, ball, factor) => {
        const { value } = bestResponse(losses, ball);
        const slack = 1e-10 * magnitude(losses);
        const size = ball.name === "cvar" ? ball.size / factor : ball.size * factor;
        expect(bestResponse(losses, { ...ball, size }).value).toBeGreaterThanOrEqual(value - slack);
        const regularization = ball.regularization === 0 ? factor : ball.regularization * factor;
        expect(bestResponse(losses, { ...ball, regularization }).value).toBeLessThanOrEqual(value + slack);
      }),
      { numRuns: 500 },
    );
  });

  it("the weights are the gradient of the value", () => {
    // Losses a quarter apart at least: off the ties, where there are many subgradients.
    const apart = fc.uniqueArray(fc.integer({ min: -20, max: 20 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(apart, ball, fc.nat(), (levels, ball, at) => {
        const losses = levels.map((n) => n / 4);
        const i = at % losses.length;
        const step = 1e-5;
        const moved = (by: number) =>
          bestResponse(
            losses.map((x, j) => (i === j ? x + by : x)),
            ball,
          ).value;
        const slope = (moved(step) - moved(-step)) / (2 * step);
        // Of second order in the step, times curvature 1 ÷ penalty: 1e-10 · 1e3 at most; rounding 1e-16 ÷ 1e-5.
        expect(Math.abs(slope - bestResponse(losses, ball).weights[i]!)).toBeLessThan(1e-4);
      }),
      { numRuns: 500 },
    );
  });

  it.each(["cvar", "chi-square", "kl"] as const)("%s: ten thousand losses of ±1e4", (name) => {
    const losses = Array.from({ length: 10_000 }, (_, i) => 1e4 * Math.sin(i * i));
    for (const regularization of [0, 1e-3, 10, 1e5]) {
      for (const size of [1e-3, 0.5, 1]) {
        const ball = { name, size, regularization };
        const { weights, value } = bestResponse(losses, ball);
        expect(Math.abs(sum(weights) - 1)).toBeLessThan(1e-11);
        expect(excessOf(ball, weights)).toBeLessThan(1e-9);
        expectClose([value], [valueAt(ball, losses, weights)], 1e-10);
        expect(value).toBeGreaterThanOrEqual(mean(losses) - 1e-8); // 1e-12 of the losses' size
      }
    }
  });

  it("a χ² ball that just holds the largest alone gives them all", () => {
    for (let m = 2; m <= 40; m++) {
      for (let ties = 1; ties < m; ties++) {
        const losses = Array.from({ length: m }, (_, i) => (i < ties ? 2 : 1 - i / m));
        const ball = { name: "chi-square", size: (m / ties - 1) / 2, regularization: 0 } as const;
        const expected = losses.map((_, i) => (i < ties ? 1 / ties : 0));
        // At the corner the weights go by the root of the radius, and so does its rounding.
        expectClose(bestResponse(losses, ball).weights, expected, 1e-7, 1);
      }
    }
  });

  it.each(["chi-square", "kl", "cvar"] as const)("%s: the largest losses may be as near as doubles get", (name) => {
    const gap = 2.2e-162; // its square is none
    for (const regularization of [0, 1e-300, 1]) {
      const ball = { name, size: 0.4, regularization };
      const near = bestResponse([gap, 0, -1, -gap, gap / 2], ball);
      expect(near.weights.every((weight) => weight >= 0)).toBe(true);
      expect(Math.abs(sum(near.weights) - 1)).toBeLessThan(1e-12);
      expect(excessOf(ball, near.weights)).toBeLessThan(1e-12);
      const order = [0, 4, 1, 3, 2].map((i) => near.weights[i]!);
      expect(order).toEqual(order.toSorted((a, b) => b - a));
    }
    const alone = bestResponse([3, 1, 2.5], { name, size: 0.4, regularization: 0 });
    const tiny = bestResponse([3 * gap, gap, 2.5 * gap], { name, size: 0.4, regularization: 0 });
    expectClose(tiny.weights, [...alone.weights], 1e-9, 1);
  });

  it("without a ball and without a penalty, all is on the largest", () => {
    const ball = { name: "chi-square", size: Number.POSITIVE_INFINITY, regularization: 0 } as const;
    expect(bestResponse([1, 3, 2, 3], ball)).toEqual({ weights: Float64Array.of(0, 0.5, 0, 0.5), value: 3 });
  });
});

/** The constrained problems' duals: convex in one variable each (Levy et al. 2020, appendix A). */
function dual(losses: readonly number[], { name, size }: Ball): number {
  const largest = Math.max(...losses);
  const range = largest - Math.min(...losses);
  if (range === 0) return largest;
  const above = (eta: number) => losses.map((x) => Math.max(x - eta, 0));
  switch (name) {
    case "cvar":
      return Math.min(...losses.map((eta) => eta + mean(above(eta)) / size)); // least at one of the losses
    case "chi-square": {
      const norm = (eta: number) => Math.sqrt(mean(above(eta).map((x) => x * x)));
      const at = (back: number) => largest - back + Math.sqrt(1 + 2 * size) * norm(largest - back);
      return leastOver(at, range * 1e-9, range * 1e8);
    }
    case "kl": {
      const at = (tau: number) =>
        tau * size + largest + tau * Math.log(mean(losses.map((x) => Math.exp((x - largest) / tau))));
      return leastOver(at, range * 1e-9, range * 1e8);
    }
    default:
      return name satisfies never;
  }
}

/** Least value of a function with one valley, over a range that is positive, by golden section on the logarithm. */
function leastOver(f: (x: number) => number, from: number, to: number): number {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [a, b] = [Math.log(from), Math.log(to)];
  for (let i = 0; i < 100; i++) {
    const [left, right] = [b - ratio * (b - a), a + ratio * (b - a)];
    if (f(Math.exp(left)) <= f(Math.exp(right))) b = right;
    else a = left;
  }
  return f(Math.exp((a + b) / 2));
}
