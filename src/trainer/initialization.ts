/** Weights before training, and weights as the trainer hands them around: float32 arrays by parameter name. */
import { Rng } from "../lib/rng.ts";
import type { ModelConfig } from "./contract.ts";
import { initialValue, parameterShapes } from "./model.ts";

export interface ModelWeights {
  readonly config: ModelConfig;
  /** by name, row-major, shapes as `parameterShapes` says */
  readonly parameters: Readonly<Record<string, Float32Array>>;
}

/**
 * By the architecture's scheme. The same seed gives the same bytes, whatever the machine and the order in which
 * parameters are made.
 */
export function initializeWeights(config: ModelConfig, seed: number): ModelWeights {
  const initial = initialParameters(config, seed);
  const names = Object.keys(parameterShapes(config));
  return { config, parameters: Object.fromEntries(names.map((name) => [name, initial(name)])) };
}

/** As `initializeWeights`, a parameter at a time, for those who keep them elsewhere. */
export function initialParameters(config: ModelConfig, seed: number): (name: string) => Float32Array {
  const rng = new Rng(seed, "initialization");
  const shapes = parameterShapes(config);
  return (name) => {
    const values = new Float32Array(shapes[name]!.reduce((product, size) => product * size, 1));
    const initial = initialValue(config, name);
    if ("constant" in initial) return values.fill(initial.constant);
    const stream = rng.fork(name);
    for (let at = 0; at < values.length; at += 2) stream.normalPair(at / 2, values, at);
    for (let at = 0; at < values.length; at++) values[at]! *= initial.deviation;
    return values;
  };
}
