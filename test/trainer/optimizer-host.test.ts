/** The optimizer in place: where its arrays lie, accumulation, and what a step leaves alone. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AdafactorConfig } from "../../src/trainer/contract.ts";
import { ARENA_BYTES, planArenas } from "../../src/trainer/optimizer/arenas.ts";
import { createKernels } from "../../src/trainer/optimizer/kernels.ts";
import { createHostOptimizer, type HostOptimizer } from "../../src/trainer/optimizer.ts";
import { ADAFACTOR, ADAMW } from "./tiny.ts";

describe("the plan of arenas", () => {
  const group = fc.record({
    lengths: fc.dictionary(fc.constantFrom("parameter", "gradient", "state/first"), fc.integer({ min: 1, max: 40 })),
    scratchBytes: fc.constantFrom(0, 8, 64),
  });

  it("has every array once, aligned, in no other's bytes, and nothing beyond the capacity", () => {
    fc.assert(
      fc.property(fc.array(group, { maxLength: 12 }), (given) => {
        const groups = given.map((of, i) => ({ name: `p${i}`, ...of }));
        const capacity = 1024;
        const { groups: planned, arenas } = planArenas(groups, 128, capacity);
        expect(planned.map(({ name }) => name)).toEqual(groups.map(({ name }) => name));
        for (const [index, { bytes, scratch }] of arenas.entries()) {
          const inside = planned.flatMap(({ arena, at }, i) =>
            arena === index
              ? Object.entries(groups[i]!.lengths).map(([array, length]) => [at[array]!, at[array]! + length * 4])
              : [],
          );
          inside.sort(([a], [b]) => a! - b!);
          let end = 128;
          for (const [from, to] of inside) {
            expect(from! % 64).toBe(0);
            expect(from).toBeGreaterThanOrEqual(end);
            end = to!;
          }
          expect(scratch).toBeGreaterThanOrEqual(end);
          expect(bytes - scratch).toBe(
            Math.max(0, ...groups.filter((_, i) => planned[i]!.arena === index).map((of) => of.scratchBytes)),
          );
          expect(bytes).toBeLessThanOrEqual(capacity);
        }
      }),
    );
  });

  it("is one memory of four arrays for 124M parameters, and two for 350M", () => {
    const model = (width: number, layers: number) =>
      [50257 * width, ...Array<number>(layers).fill(12 * width * width)].map((length, i) => ({
        name: `p${i}`,
        lengths: { parameter: length, gradient: length, first: length, second: length },
        scratchBytes: 0,
      }));
    const small = planArenas(model(768, 12), 64).arenas;
    expect(small).toHaveLength(1);
    expect(small[0]!.bytes - 16 * (50257 * 768 + 12 * 12 * 768 * 768)).toBeLessThan(65536);
    expect(planArenas(model(1024, 24), 64).arenas).toHaveLength(2);
  });

  it("does not have a parameter whose arrays need more than one memory", async () => {
    expect(ARENA_BYTES).toBeLessThan(2 ** 32);
    const shapes = { "wte.weight": [262144, 1152] };
    await expect(createHostOptimizer(shapes, ADAMW, { accumulate: false })).rejects.toMatchObject({
      kind: "bad-configuration",
      code: "parameter-size",
      message: expect.stringContaining("wte.weight: its arrays take 4831838208 bytes"),
    });
  });
});

it("reaches what lies beyond 2 GiB", () => {
  const kernels = createKernels();
  kernels.memory.grow(2 ** 31 / 65536 + 1);
  const at = 2 ** 31 + 64;
  new Float32Array(kernels.memory.buffer, at, 16).fill(3);
  expect(kernels.sumOfSquares(at, 64)).toBe(16 * 9);
  kernels.addTo(at, at, 64);
  expect(kernels.sumOfSquares(at, 64)).toBe(16 * 36);
});

it("has no more memory than its arrays take, and the page that they begin in", async () => {
  const shapes = { w: [4096, 64], b: [4096] };
  const bytes = 4 * (4096 * 64 + 4096);
  const pages = async (config: typeof ADAMW | AdafactorConfig, accumulate: boolean) =>
    (await createHostOptimizer(shapes, config, { accumulate })).parameters.w!.buffer.byteLength / 65536;
  expect(await pages(ADAMW, false)).toBe(Math.floor((4 * bytes) / 65536) + 1);
  expect(await pages(ADAMW, true)).toBe(Math.floor((5 * bytes) / 65536) + 1);
  const small = 4 * (4096 + 64 + 4096) + 8 * 64; // means of w by row and column and of b, and what a step works in
  expect(await pages({ ...ADAFACTOR, beta1: null }, false)).toBe(Math.floor((2 * bytes + small) / 65536) + 1);
});

const SHAPES = { w: [3, 5], b: [7] };

async function started(
  config: typeof ADAMW | AdafactorConfig,
  options = { accumulate: false },
): Promise<HostOptimizer> {
  const optimizer = await createHostOptimizer(SHAPES, config, options);
  for (const values of Object.values(optimizer.parameters))
    values.forEach((_, i) => {
      values[i] = Math.sin(i + 1);
    });
  return optimizer;
}

function write(optimizer: HostOptimizer, value: (i: number) => number): void {
  for (const values of Object.values(optimizer.gradients))
    values.forEach((_, i) => {
      values[i] = value(i);
    });
}

const everything = ({ parameters, state }: HostOptimizer) =>
  [parameters, state].map((arrays) => Object.entries(arrays).map(([name, values]) => [name, values.slice()]));

describe.each([ADAMW, ADAFACTOR])("$name in place", (config) => {
  it("takes the sum of what was accumulated, and starts anew at the first", async () => {
    const [whole, parts] = [await started(config), await started(config, { accumulate: true })];
    for (const step of [1, 2]) {
      write(whole, (i) => 3 * i - step);
      for (const [part, factor] of [1, 2].entries()) {
        write(parts, (i) => factor * i - (part === 0 ? step : 0));
        parts.accumulate(part === 0);
      }
      expect(parts.step(step, 2)).toEqual(whole.step(step, 2));
      expect(everything(parts)).toEqual(everything(whole));
    }
    expect(() => whole.accumulate(true)).toThrow("without accumulation");
  });

  it("changes nothing where a gradient is not finite, and goes on after it", async () => {
    const optimizer = await started(config);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const before = everything(optimizer);
      write(optimizer, (i) => (i === 4 ? bad : 0.1));
      expect(optimizer.step(1, 5).gradientNorm).not.toBeLessThan(Number.POSITIVE_INFINITY);
      expect(everything(optimizer)).toEqual(before);
    }
    write(optimizer, () => 3e38); // squares of which are no float32
    const { gradientNorm } = optimizer.step(2, 5);
    expect(gradientNorm).toBeCloseTo(3e38 * Math.sqrt(22), -33);
    expect(Object.values(optimizer.parameters).every((values) => values.every(Number.isFinite))).toBe(true);
  });

  it("scales gradients before it clips", async () => {
    const [plain, scaled] = [await started(config), await started(config)];
    write(plain, (i) => i - 3);
    write(scaled, (i) => (i - 3) * 2 ** 15);
    expect(scaled.step(1, 5, 2 ** -15)).toEqual(plain.step(1, 5));
    expect(everything(scaled)).toEqual(everything(plain));
  });
});
