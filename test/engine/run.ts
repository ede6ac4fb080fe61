/** Runs one program two ways: by TensorFlow.js's CPU backend op by op, and traced by an engine. Shared by tests. */
import "@tensorflow/tfjs-backend-cpu";
import type { Engine, Executable, Program, TensorData, TensorSpec } from "../../src/engine/engine.ts";
import { elements } from "../../src/engine/graph.ts";
import type { TensorFlow } from "../../src/engine/tensorflow.ts";
import { Rng } from "../../src/lib/rng.ts";

export interface HostTensor {
  readonly data: TensorData;
  readonly shape: readonly number[];
}

/** Uniform in [low, high): −1..1 for floats unless given, 0..high−1 for integers. */
export function randomTensors(
  specs: Record<string, TensorSpec & { readonly low?: number; readonly high?: number }>,
  seed: number,
): Record<string, HostTensor> {
  const tensors: Record<string, HostTensor> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const rng = new Rng(seed, name);
    const low = spec.low ?? -1;
    const high = spec.high ?? 1;
    const draw = (_: unknown, i: number) => low + (high - low) * rng.uniform(i);
    const length = elements(spec.shape);
    const data = spec.dtype === "int32" ? Int32Array.from({ length }, draw) : Float32Array.from({ length }, draw);
    tensors[name] = { data, shape: spec.shape };
  }
  return tensors;
}

export async function runEagerly(
  tf: TensorFlow,
  program: Program,
  inputs: Record<string, HostTensor>,
): Promise<Record<string, HostTensor>> {
  tf.env().set("IS_NODE", false); // no advertisement on the first tensor
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape }]) => [
      name,
      tf.tensor(data, [...shape], program.inputs[name]!.dtype),
    ]),
  );
  const outputs = tf.tidy(() => program.build(tf, tensors));
  const results: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    results[name] = { data: tensor.dataSync().slice() as TensorData, shape: tensor.shape };
  }
  tf.dispose([outputs, tensors]);
  if (tf.memory().numTensors !== before)
    throw new Error(`${program.name}: ${tf.memory().numTensors - before} tensors were not freed`);
  return results;
}

export async function runTraced(
  engine: Engine,
  program: Program,
  inputs: Record<string, HostTensor>,
): Promise<Record<string, HostTensor>> {
  const executable = await engine.compile(program);
  const results = await runCompiled(engine, executable, inputs);
  await executable.close();
  return results;
}

export async function runCompiled(
  engine: Engine,
  executable: Executable,
  inputs: Record<string, HostTensor>,
): Promise<Record<string, HostTensor>> {
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape }]) => [name, engine.tensor(data.slice(), shape)]),
  );
  const outputs = await executable.run(tensors);
  const results: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(outputs))
    results[name] = { data: (await tensor.read()).slice(), shape: tensor.shape };
  return results;
}
