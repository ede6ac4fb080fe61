/** The worst weights inside a ball, in a graph in float32: against the golden vectors, and where there are many items. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program } from "../../src/engine/engine.ts";
import { Rng } from "../../src/lib/rng.ts";
import { type Ball, bestResponse } from "../../src/mixture/objectives/best-response.ts";
import { bestResponse as graphResponse } from "../../src/trainer/objectives/ball.ts";
import { itemsOf } from "../../src/trainer/objectives/items.ts";
import { runTraced } from "../engine/run.ts";
import { readGolden } from "../mixture/golden.ts";
import { expectWithin } from "./twins.ts";

interface Result {
  geometry: Ball["name"];
  size: number | "Infinity";
  reg?: number;
  weights: number[];
}

let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

function ballOf({ geometry, size, reg = 0 }: Result): Ball {
  // So large a ball holds every response to a few dozen losses.
  return { name: geometry, size: size === "Infinity" ? 1e6 : size, regularization: reg };
}

/** Responses of all balls, in one graph, to m losses among which one in three has no part. */
async function responses(losses: readonly number[], balls: readonly Ball[]): Promise<Float64Array[]> {
  const padded = losses.flatMap((loss, i) => (i % 2 === 0 ? [loss] : [loss, 1e4]));
  const present = losses.flatMap((_, i) => (i % 2 === 0 ? [1] : [1, 0]));
  const vector = { shape: [padded.length], dtype: "float32" as const };
  const program: Program = {
    name: "responses",
    inputs: { losses: vector, present: vector },
    build(tf, given) {
      const items = itemsOf(tf, given.losses!, given.present!);
      return Object.fromEntries(balls.map((ball, i) => [`${i}`, graphResponse(tf, items, ball)]));
    },
  };
  const found = await runTraced(engine, program, {
    losses: { data: Float32Array.from(padded), shape: vector.shape },
    present: { data: Float32Array.from(present), shape: vector.shape },
  });
  return balls.map((_, i) => {
    const weights = found[`${i}`]!.data;
    expectWithin(
      weights.filter((_, at) => present[at] === 0),
      new Float64Array(padded.length - losses.length),
      0,
      "absent",
    );
    return Float64Array.from(weights.filter((_, at) => present[at] === 1));
  });
}

const { cases } = readGolden<{ cases: { id: string; losses: number[]; results: Result[] }[] }>("cvar_chi2/batch.json");

test.each(cases.map((entry) => [entry.id, entry] as const))("golden %s", async (_id, { losses, results }) => {
  const found = await responses(losses, results.map(ballOf));
  for (const [i, result] of results.entries()) {
    const { geometry, size, reg } = result;
    expectWithin(found[i]!, result.weights, 1e-5, `${geometry} of ${size}, penalty ${reg}`);
  }
});

test("golden edges: ties, constants, one loss, negative losses", async () => {
  const edges = readGolden<{ cases: (Result & { id: string; losses: number[] })[] }>("cvar_chi2/edge.json").cases;
  expect(edges.length).toBeGreaterThan(0);
  for (const { id, losses, ...result } of edges) {
    const [found] = await responses(losses, [ballOf(result)]);
    // Of tied CVaR the golden answer is one of many; ours is the symmetric one, which the float64 twin is tested for.
    const expected = result.geometry === "cvar" ? bestResponse(losses, ballOf(result)).weights : result.weights;
    expectWithin(found!, expected, 1e-5, `${id}, ${result.geometry} of ${result.size}`);
  }
});

const BALLS: readonly Ball[] = [
  { name: "cvar", size: 0.1, regularization: 0 },
  { name: "cvar", size: 0.1, regularization: 0.2 },
  { name: "chi-square", size: 1, regularization: 0 },
  { name: "chi-square", size: 20, regularization: 0.05 },
  { name: "kl", size: 0.5, regularization: 0 },
  { name: "kl", size: 3, regularization: 0.1 },
];

test("1500 items, which are compared in blocks", async () => {
  const rng = new Rng(5, "losses");
  const losses = Array.from({ length: 1500 }, (_, i) => Math.fround(3 + 2 * rng.uniform(i)));
  const found = await responses(losses, BALLS);
  for (const [i, ball] of BALLS.entries()) {
    const expected = bestResponse(losses, ball).weights;
    const largest = expected.reduce((a, b) => Math.max(a, b));
    expectWithin(found[i]!, expected, 1e-4 * largest, `${ball.name} of ${ball.size}, penalty ${ball.regularization}`);
  }
});

test("losses that hardly differ, far from 0", async () => {
  const losses = [4096, 4096.25, 4096.5, 4096.75, 4097, 4097, 4096.125];
  const found = await responses(losses, BALLS);
  for (const [i, ball] of BALLS.entries())
    expectWithin(found[i]!, bestResponse(losses, ball).weights, 1e-5, `${ball.name}, penalty ${ball.regularization}`);
});
