/** Some steps of an optimizer on given gradients, by each way that it can be carried out. Shared by tests. */
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program, TensorSpec } from "../../src/engine/engine.ts";
import { loadTensorFlow } from "../../src/engine/tensorflow.ts";
import { createWebGpuEngine, reportWebGpu } from "../../src/engine/webgpu.ts";
import type { OptimizerConfig } from "../../src/trainer/contract.ts";
import { createHostOptimizer, graphOptimizer, optimizerStateShapes } from "../../src/trainer/optimizer.ts";
import { type HostTensor, runCompiled, runEagerly } from "../engine/run.ts";

export type Arrays = Readonly<Record<string, Float32Array>>;
export type Shapes = Readonly<Record<string, readonly number[]>>;

export interface Problem {
  readonly config: OptimizerConfig;
  readonly shapes: Shapes;
  readonly start: Arrays;
  readonly steps: number;
  /** @param step 1-based */
  gradients(step: number, parameters: Arrays): Arrays;
  /** factor of all gradients before anything else; default 1 */
  readonly scale?: number;
}

/** What there is after each step. */
export type Course = readonly { readonly gradientNorm: number; readonly parameters: Arrays; readonly state: Arrays }[];

export async function runInPlace({ config, shapes, start, steps, gradients, scale }: Problem): Promise<Course> {
  const optimizer = await createHostOptimizer(shapes, config, { accumulate: false });
  for (const [name, values] of Object.entries(start)) optimizer.parameters[name]!.set(values);
  const course: Course[number][] = [];
  for (let step = 1; step <= steps; step++) {
    for (const [name, values] of Object.entries(gradients(step, optimizer.parameters)))
      optimizer.gradients[name]!.set(values);
    const { gradientNorm } = optimizer.step(step, steps, scale);
    course.push({ gradientNorm, parameters: copied(optimizer.parameters), state: copied(optimizer.state) });
  }
  optimizer.close();
  return course;
}

/** By TensorFlow.js's CPU backend, op by op. */
export async function runAsOps(problem: Problem): Promise<Course> {
  const tf = await loadTensorFlow();
  return runProgram(problem, (program, inputs) => runEagerly(tf, program, inputs));
}

/** Traced to a graph, by ONNX Runtime. */
export async function runAsGraph(problem: Problem, open: () => Promise<Engine> = cpu): Promise<Course> {
  const engine = await open();
  const executable = await engine.compile(updateProgram(problem));
  const course = await runProgram(problem, (_, inputs) => runCompiled(engine, executable, inputs));
  await executable.close();
  await engine.close();
  return course;
}

const cpu = () => createCpuEngine({ threads: 1 });
const webGpu = await reportWebGpu();

/** On WebGPU where there is an adapter. */
export const WAYS: Readonly<Record<string, (problem: Problem) => Promise<Course>>> = {
  "in place": runInPlace,
  "as ops": runAsOps,
  "as a graph": runAsGraph,
  ...(webGpu.usable && {
    [`on WebGPU (${webGpu.why})`]: (problem) => runAsGraph(problem, () => createWebGpuEngine(webGpu)),
  }),
};

async function runProgram(
  problem: Problem,
  run: (program: Program, inputs: Record<string, HostTensor>) => Promise<Record<string, HostTensor>>,
): Promise<Course> {
  const { config, shapes, start, steps, gradients, scale = 1 } = problem;
  const program = updateProgram(problem);
  const stateShapes = optimizerStateShapes(shapes, config);
  let parameters = start;
  let state: Arrays = mapped(stateShapes, (shape) => new Float32Array(size(shape)));
  const course: Course[number][] = [];
  for (let step = 1; step <= steps; step++) {
    const scalars = { ...graphOptimizer(config).scalars(step, steps), gradientScale: scale };
    const given = gradients(step, parameters);
    const found = await run(program, {
      ...keyed("parameter", parameters, (data, name) => ({ data, shape: shapes[name]! })),
      ...keyed("gradient", given, (data, name) => ({ data, shape: shapes[name]! })),
      ...mapped(state, (data, name) => ({ data, shape: stateShapes[name]! })),
      ...mapped(scalars, (value) => ({ data: Float32Array.of(value), shape: [] })),
    });
    parameters = mapped(shapes, (_, name) => found[`next/parameter/${name}`]!.data as Float32Array);
    state = mapped(stateShapes, (_, name) => found[`next/${name}`]!.data as Float32Array);
    course.push({ gradientNorm: found.gradientNorm!.data[0]!, parameters, state });
  }
  return course;
}

function updateProgram({ config, shapes }: Problem): Program {
  const { stateShapes, scalars, update } = graphOptimizer(config);
  const float = (shape: readonly number[]): TensorSpec => ({ shape, dtype: "float32" });
  return {
    name: "optimizer",
    inputs: {
      ...keyed("parameter", shapes, float),
      ...keyed("gradient", shapes, float),
      ...mapped(stateShapes(shapes), float),
      ...mapped(scalars(1, 1), () => float([])),
      gradientScale: float([]),
    },
    build(tf, given) {
      const { parameters, state, gradientNorm } = update(tf, {
        parameters: mapped(shapes, (_, name) => given[`parameter/${name}`]!),
        state: mapped(stateShapes(shapes), (_, name) => given[name]!),
        gradients: mapped(shapes, (_, name) => given[`gradient/${name}`]!),
        scalars: mapped(scalars(1, 1), (_, name) => given[name]!),
        gradientScale: given.gradientScale!,
      });
      const same = <T>(value: T) => value;
      return { ...keyed("next/parameter", parameters, same), ...keyed("next", state, same), gradientNorm };
    },
  };
}

function copied(arrays: Arrays): Arrays {
  return mapped(arrays, (values) => values.slice());
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function mapped<T, U>(values: Readonly<Record<string, T>>, map: (value: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value, name)]));
}

function keyed<T, U>(
  prefix: string,
  values: Readonly<Record<string, T>>,
  map: (value: T, name: string) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, map(value, name)]));
}
