/**
 * A TensorFlow.js backend that records what it is asked to compute instead of computing it. `traceProgram` runs a
 * program once on tensors without data and returns the graph; gradients come from TensorFlow.js's own tape.
 */
import type { KernelBackend, Tensor, TensorInfo } from "@tensorflow/tfjs-core";
import type { Program } from "./engine.ts";
import { elements, type Graph } from "./graph.ts";
import { KERNELS } from "./kernels.ts";
import { Recorder } from "./recorder.ts";
import type { TensorFlow } from "./tensorflow.ts";

const BACKEND = "doremi-trace";

/** @throws Error where the program uses a kernel without a translation, or a tensor made outside it */
export function traceProgram(tf: TensorFlow, program: Program): Graph {
  register(tf);
  const recorder = new Recorder(tf);
  const engine = tf.engine();
  const previous = engine.backendName;
  recording = recorder;
  // Synchronous up to its end for backends whose factory is: nothing else runs between here and the switch back.
  void tf.setBackend(BACKEND);
  let outputs: Record<string, Tensor> = {};
  let graph: Graph | undefined;
  try {
    tf.tidy(() => {
      const inputs: Record<string, Tensor> = {};
      for (const [name, spec] of Object.entries(program.inputs)) {
        recorder.graph.input(name, spec);
        const info = recorder.tensor(name, spec.shape, spec.dtype);
        inputs[name] = engine.makeTensorFromDataId(info.dataId, [...spec.shape], spec.dtype);
      }
      outputs = program.build(tf, inputs);
      const names = Object.fromEntries(
        Object.entries(outputs).map(([name, tensor]) => [name, recorder.nameOf(tensor)]),
      );
      graph = recorder.graph.finish(program.name, names);
    });
    return graph!;
  } finally {
    // A program may have kept its outputs out of tidy's reach.
    for (const tensor of Object.values(outputs)) if (!tensor.isDisposed) tensor.dispose();
    recording = undefined;
    if (previous) void tf.setBackend(previous);
  }
}

let recording: Recorder | undefined;
const registered = new WeakSet<object>();

function current(): Recorder {
  if (!recording) throw new Error("trace: the recording backend works only inside traceProgram");
  return recording;
}

function register(tf: TensorFlow): void {
  if (registered.has(tf.engine())) return;
  registered.add(tf.engine());
  tf.registerBackend(BACKEND, () => traceBackend, 0);
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs }) => kernel(current(), inputs as Record<string, TensorInfo>, attrs ?? {}),
    });
  }
}

const noData = (): never => {
  throw new Error("trace: tensors hold no data while a program is traced; do not read them inside it");
};

const traceBackend: KernelBackend = {
  write: (values, shape, dtype) => current().write(values, shape, dtype),
  move: () => {
    throw new Error("trace: a traced function may only use its inputs and constants made inside it");
  },
  read: noData,
  readSync: noData,
  readToGPU: noData,
  createTensorFromGPUData: noData,
  time: noData,
  refCount: () => 1,
  incRef: () => {},
  disposeData: () => true,
  numDataIds: () => 0,
  timerAvailable: () => false,
  memory: () => ({ unreliable: true }),
  floatPrecision: () => 32,
  epsilon: () => 1e-7,
  dispose: () => {},
};

/** Node outputs of at least this many elements, for tests of what a program keeps in memory. */
export function largeValues(graph: Graph, atLeast: number): string[] {
  return graph.nodes.flatMap((node) =>
    node.outputs
      .filter((output) => elements(graph.values.get(output)?.shape ?? []) >= atLeast)
      .map((output) => `${node.op} ${output}`),
  );
}
