/** Thinned series against every step, summed plainly. */
import { describe, expect, it } from "vitest";
import { Rng } from "../../src/lib/rng.ts";
import { type DomainSeriesName, SeriesSampler } from "../../src/report/series.ts";
import { trajectoryLayout } from "../../src/stages/trajectory.ts";

const K = 3;
const LAYOUT = trajectoryLayout(K, true);
const STEPS = 1037;

/** Losses of domains that are in a batch two times of three, weights, and a look at the held-out loss every 50 steps. */
function records(): Float64Array {
  const rng = new Rng(7, "series");
  const { scalars, heldOut, width } = LAYOUT;
  const vectors = LAYOUT.vectors!;
  const values = new Float64Array(STEPS * width).fill(Number.NaN);
  let index = 0;
  const draw = () => rng.uniform(index++);
  for (let row = 0; row < STEPS; row++) {
    const at = row * width;
    values[at + scalars.loss] = draw();
    values[at + scalars.learning_rate] = row;
    values[at + scalars.tokens] = 1 + Math.floor(draw() * 100);
    for (let k = 0; k < K; k++) {
      const tokens = draw() < 1 / 3 ? 0 : 1 + Math.floor(draw() * 50);
      values[at + vectors.domain_tokens + k] = tokens;
      values[at + vectors.domain_loss + k] = tokens === 0 ? Number.NaN : 2 + draw();
      values[at + vectors.signed_excess + k] = tokens === 0 ? 0 : draw() - 0.5;
      values[at + vectors.excess + k] = Math.max(0, values[at + vectors.signed_excess + k]!);
      values[at + vectors.alpha + k] = draw();
      values[at + vectors.average + k] = draw();
      if (row % 50 === 0 && k < 2) values[at + heldOut + k] = draw();
    }
  }
  return values;
}

describe("a thinned series", () => {
  const values = records();
  const cell = (step: number, at: number) => values[(step - 1) * LAYOUT.width + at]!;
  const sampler = new SeriesSampler(LAYOUT, 100);
  for (let from = 0; from < STEPS; from += 91) {
    const steps = Math.min(91, STEPS - from);
    const stretch = values.subarray(from * LAYOUT.width, (from + steps) * LAYOUT.width);
    sampler.add({ firstStep: from + 1, steps, values: stretch });
  }
  const series = sampler.series();
  const vectors = LAYOUT.vectors!;
  const stepsOf = (point: number) => {
    const last = series.step[point]!;
    const first = point === 0 ? 1 : series.step[point - 1]! + 1;
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  };
  const mean = (pairs: readonly (readonly [value: number, tokens: number])[]) => {
    const sum = pairs.reduce((total, [, tokens]) => total + tokens, 0);
    return pairs.reduce((total, [value, tokens]) => total + (tokens === 0 ? 0 : value * tokens), 0) / sum;
  };

  it("has no more points than were asked for, all of one length but for the last, and every step is in one", () => {
    expect(series.steps).toBe(STEPS);
    expect(series.stepsPerPoint).toBe(16);
    expect(series.step.length).toBe(Math.ceil(STEPS / 16));
    expect(series.step.at(-1)).toBe(STEPS);
    expect(new Set(Array.from(series.step.slice(1, -1), (step, i) => step - series.step[i]!))).toEqual(new Set([16]));
  });

  it("has weights as they were and losses as means over tokens", () => {
    const domains = series.domains!;
    for (const [point, last] of series.step.entries()) {
      const steps = stepsOf(point);
      const { loss, tokens } = LAYOUT.scalars;
      expect(series.loss[point]).toBeCloseTo(mean(steps.map((step) => [cell(step, loss), cell(step, tokens)])), 12);
      for (let k = 0; k < K; k++) {
        expect(domains.alpha[k]!.points[point]).toBe(cell(last, vectors.alpha + k));
        expect(domains.average[k]!.points[point]).toBe(cell(last, vectors.average + k));
        const over = (of: (step: number) => number) =>
          mean(steps.map((step) => [of(step), cell(step, vectors.domain_tokens + k)]));
        const lossOf = (step: number) => cell(step, vectors.domain_loss + k);
        expect(domains.loss[k]!.points[point]).toBeCloseTo(over(lossOf), 12);
        expect(domains.excess[k]!.points[point]).toBeCloseTo(
          over((step) => cell(step, vectors.excess + k)),
          12,
        );
        expect(domains.reference[k]!.points[point]).toBeCloseTo(
          over((step) => lossOf(step) - cell(step, vectors.signed_excess + k)),
          12,
        );
      }
    }
  });

  it("keeps the smallest, the largest and the last value of all steps, with their steps", () => {
    const names = { loss: vectors.domain_loss, excess: vectors.excess, alpha: vectors.alpha, average: vectors.average };
    for (const [name, at] of Object.entries(names)) {
      for (let k = 0; k < K; k++) {
        const present = Array.from({ length: STEPS }, (_, i) => i + 1).filter(
          (step) => at === vectors.alpha || at === vectors.average || cell(step, vectors.domain_tokens + k) > 0,
        );
        const all = present.map((step) => cell(step, at + k));
        const [min, max] = [Math.min(...all), Math.max(...all)];
        expect(series.domains![name as DomainSeriesName][k]!.extremes).toEqual({
          ...{ min, minStep: present[all.indexOf(min)], max, maxStep: present[all.indexOf(max)] },
          ...{ last: all.at(-1), lastStep: present.at(-1) },
        });
      }
    }
  });

  it("has every look at the held-out loss while there is room", () => {
    const looks = Array.from({ length: Math.ceil(STEPS / 50) }, (_, i) => 1 + 50 * i);
    expect([...series.heldOut.step]).toEqual(looks);
    expect([...series.heldOut.loss[1]!]).toEqual(looks.map((step) => cell(step, LAYOUT.heldOut + 1)));
    expect([...series.heldOut.loss[2]!]).toEqual(looks.map(() => Number.NaN));
  });
});
