/**
 * An optimizer in place: parameters, optimizer state and gradients in WebAssembly memory, where an engine whose memory is
 * the host's reads the ones and writes the others, and nothing is copied. One thread, whose limit is memory bandwidth.
 */
import { elements } from "../../engine/graph.ts";
import { DoremiError } from "../../lib/errors.ts";
import type { OptimizerConfig } from "../contract.ts";
import { ARENA_BYTES, type ArenaPlan, type ArrayGroup, planArenas } from "./arenas.ts";
import { clipFactor } from "./clipping.ts";
import { createKernels, type Kernels, wholeBlocks } from "./kernels.ts";
import { stateName, updateRule } from "./rules.ts";
import { learningRateAt } from "./schedule.ts";
import type { ParameterPlace, Shape, UpdateRule } from "./update-rule.ts";

/** Parameters, optimizer state and gradients in WebAssembly memory that one call updates in place. */
export interface HostOptimizer {
  /** views, as all arrays here; zeros until somebody writes them */
  readonly parameters: Readonly<Record<string, Float32Array>>;
  /** the engine writes a batch's gradients here */
  readonly gradients: Readonly<Record<string, Float32Array>>;
  /** what a checkpoint stores, named as by `optimizerStateShapes` */
  readonly state: Readonly<Record<string, Float32Array>>;
  /** Only with accumulation: adds `gradients` to the sum so far, which `step` then takes. @param first starts the sum */
  accumulate(first: boolean): void;
  /**
   * Clips by the global norm and updates; where the norm is not finite it changes nothing.
   * @param step 1-based  @param scale factor of all gradients before anything else  @returns the norm before clipping
   */
  step(step: number, steps: number, scale?: number): { gradientNorm: number; learningRate: number };
  /** Lets go of the memory; the views are not to be used any more. */
  close(): void;
}

/** One parameter's arrays, with the kernels that reach them. */
interface Place extends Omit<ParameterPlace, "scale"> {
  readonly kernels: Kernels;
  readonly bytes: number; // whole blocks
  /** sum of gradients, where there is accumulation */
  readonly sum: number | undefined;
}

/**
 * @param options.accumulate one array more for each parameter
 * @throws DoremiError out-of-memory; parameter-size, where the arrays of one parameter take more than 4 GiB
 */
export async function createHostOptimizer(
  shapes: Readonly<Record<string, Shape>>,
  config: OptimizerConfig,
  { accumulate }: { readonly accumulate: boolean },
): Promise<HostOptimizer> {
  return new InPlaceOptimizer(shapes, config, accumulate);
}

class InPlaceOptimizer implements HostOptimizer {
  readonly parameters: Readonly<Record<string, Float32Array>>;
  readonly gradients: Readonly<Record<string, Float32Array>>;
  readonly state: Readonly<Record<string, Float32Array>>;
  readonly #config: OptimizerConfig;
  readonly #rule: UpdateRule;
  #places: Place[] = [];

  constructor(shapes: Readonly<Record<string, Shape>>, config: OptimizerConfig, accumulate: boolean) {
    this.#config = config;
    this.#rule = updateRule(config);
    const parameters: Record<string, Float32Array> = {};
    const gradients: Record<string, Float32Array> = {};
    const state: Record<string, Float32Array> = {};
    for (const [name, place] of Object.entries(allocate(shapes, this.#rule, accumulate))) {
      const view = (at: number, length: number) => new Float32Array(place.kernels.memory.buffer, at, length);
      parameters[name] = view(place.parameter, place.length);
      gradients[name] = view(place.gradient, place.length);
      for (const [kind, shape] of Object.entries(this.#rule.stateOf(place.shape)))
        state[stateName(kind, name)] = view(place.state[kind]!, elements(shape));
      this.#places.push(place);
    }
    this.parameters = parameters;
    this.gradients = gradients;
    this.state = state;
  }

  accumulate(first: boolean): void {
    for (const { kernels, sum, gradient, bytes } of this.#places) {
      if (sum === undefined) throw new RangeError("optimizer: made without accumulation");
      if (first) new Uint8Array(kernels.memory.buffer).copyWithin(sum, gradient, gradient + bytes);
      else kernels.addTo(sum, gradient, bytes);
    }
  }

  step(step: number, steps: number, scale = 1): { gradientNorm: number; learningRate: number } {
    const learningRate = learningRateAt(this.#config, step, steps);
    let squares = 0;
    for (const { kernels, sum, gradient, bytes } of this.#places)
      squares += kernels.sumOfSquares(sum ?? gradient, bytes);
    const gradientNorm = Math.sqrt(squares) * scale;
    if (Number.isFinite(gradientNorm)) {
      const coefficients = this.#rule.coefficients(step, steps);
      const clipped = scale * clipFactor(gradientNorm, this.#config.clipNorm);
      for (const { kernels, ...place } of this.#places) {
        const gradient = place.sum ?? place.gradient;
        this.#rule.updateInPlace(kernels, { ...place, gradient, scale: clipped }, coefficients);
      }
    }
    return { gradientNorm, learningRate };
  }

  close(): void {
    this.#places = [];
  }
}

const PARAMETER = "parameter";
const GRADIENT = "gradient";
const SUM = "sum";

function allocate(
  shapes: Readonly<Record<string, Shape>>,
  rule: UpdateRule,
  accumulate: boolean,
): Record<string, Place> {
  const groups = Object.entries(shapes).map(([name, shape]): ArrayGroup => {
    const length = elements(shape);
    const state = Object.entries(rule.stateOf(shape)).map(([kind, of]) => [stateName("state", kind), elements(of)]);
    return {
      name,
      lengths: {
        [PARAMETER]: length,
        [GRADIENT]: length,
        ...(accumulate && { [SUM]: length }),
        ...Object.fromEntries(state),
      },
      scratchBytes: rule.scratchBytes(shape),
    };
  });
  const plan = fitted(groups);
  const kernels = plan.arenas.map(({ bytes }) => kernelsOver(bytes));
  return Object.fromEntries(
    plan.groups.map(({ name, arena, at }): [string, Place] => {
      const shape = shapes[name]!;
      const length = elements(shape);
      const state = Object.keys(rule.stateOf(shape)).map((kind) => [kind, at[stateName("state", kind)]!]);
      return [
        name,
        {
          kernels: kernels[arena]!,
          shape,
          length,
          bytes: wholeBlocks(length * 4),
          parameter: at[PARAMETER]!,
          gradient: at[GRADIENT]!,
          sum: at[SUM],
          state: Object.fromEntries(state),
          scratch: plan.arenas[arena]!.scratch,
        },
      ];
    }),
  );
}

function fitted(groups: readonly ArrayGroup[]): ArenaPlan {
  try {
    return planArenas(groups, createKernels().base());
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new DoremiError(
      "bad-configuration",
      "parameter-size",
      `optimizer: the arrays of one parameter must fit ${ARENA_BYTES} bytes of memory, but of ${cause.message}; use a smaller vocabulary or width, or Adafactor without beta1`,
      { cause },
    );
  }
}

function kernelsOver(bytes: number): Kernels {
  const kernels = createKernels();
  const pages = Math.ceil(bytes / 65536);
  try {
    kernels.memory.grow(Math.max(0, pages - kernels.memory.buffer.byteLength / 65536));
  } catch (cause) {
    throw new DoremiError(
      "internal",
      "out-of-memory",
      `optimizer: ${bytes} bytes for parameters, gradients and optimizer state must be there, and the system did not give them; train a smaller model, or with Adafactor, whose state is small`,
      { cause },
    );
  }
  return kernels;
}
