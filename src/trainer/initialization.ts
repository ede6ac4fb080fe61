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
  const rng = new Rng(seed, "initialization");
  const parameters: Record<string, Float32Array> = {};
  for (const [name, shape] of Object.entries(parameterShapes(config))) {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    const initial = initialValue(config, name);
    if ("constant" in initial) values.fill(initial.constant);
    else {
      const stream = rng.fork(name);
      for (let at = 0; at < values.length; at += 2) stream.normalPair(at / 2, values, at);
      for (let at = 0; at < values.length; at++) values[at]! *= initial.deviation;
    }
    parameters[name] = values;
  }
  return { config, parameters };
}
