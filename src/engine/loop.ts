/**
 * A graph that runs another several times, as one ONNX Loop: what a run leaves for the next never leaves the provider.
 * Where a provider keeps nothing between calls, one call of this graph pays for the transfers once.
 */
import type { CompileOptions } from "./engine.ts";
import type { Graph, GraphConstant, GraphNode, ValueSpec } from "./graph.ts";

export const NEXT = "next/";
/** Inside the loop every value gets this before its name: ONNX wants names to be unique across both graphs. */
const INNER = "run/";
const RUN_NUMBER = "loop/run"; // int64, 0-based
const GOES_ON = "loop/goes-on"; // bool

/**
 * Outputs `next/NAME` are carried to the input NAME of the next run and come out as the last run leaves them; the inputs
 * in `perRun` get a leading axis of `runs`, and so does every other output; all other inputs are the same for each run.
 */
export function repeatGraph(graph: Graph, { runs, perRun }: NonNullable<CompileOptions["repeat"]>): Graph {
  if (!Number.isSafeInteger(runs) || runs < 1)
    throw new RangeError(`repeat: runs must be an integer ≥ 1, found ${runs}`);
  const carried = Object.keys(graph.outputs).filter((name) => name.startsWith(NEXT));
  const state = carried.map((name) => name.slice(NEXT.length));
  const stacked = Object.keys(graph.outputs).filter((name) => !name.startsWith(NEXT));
  for (const [i, name] of state.entries()) checkCarried(graph, name, graph.outputs[carried[i]!]!, perRun);
  const sliced = perRun.filter((name) => name in graph.inputs);

  const inner = new Set([...graph.values.keys()].filter((name) => !(name in graph.inputs)));
  for (const name of [...state, ...sliced]) inner.add(name);
  const renamed = (name: string): string => (inner.has(name) ? INNER + name : name);
  const values = new Map<string, ValueSpec>([...graph.values].map(([name, spec]) => [renamed(name), spec]));
  const scalar = (dtype: "int64" | "bool"): ValueSpec => ({ shape: [], dtype });

  const body: Graph = {
    name: `${graph.name}/run`,
    inputs: {
      [INNER + RUN_NUMBER]: scalar("int64"),
      [INNER + GOES_ON]: scalar("bool"),
      ...Object.fromEntries(state.map((name) => [renamed(name), graph.inputs[name]!])),
    },
    outputs: {
      [`${INNER}${GOES_ON}/next`]: scalar("bool"),
      ...Object.fromEntries([...carried, ...stacked].map((name) => [renamed(name), graph.outputs[name]!])),
    },
    nodes: [
      node("Identity", [INNER + GOES_ON], [`${INNER}${GOES_ON}/next`]),
      ...sliced.map((name) => node("Gather", [name, INNER + RUN_NUMBER], [renamed(name)], { axis: 0 })),
      ...graph.nodes.map((each) => ({
        ...each,
        inputs: each.inputs.map(renamed),
        outputs: each.outputs.map(renamed),
      })),
    ],
    constants: graph.constants,
    // Values of the surrounding graph are described there.
    values: new Map([...values].filter(([name]) => name.startsWith(INNER))),
  };

  const leading = (spec: ValueSpec): ValueSpec => ({ ...spec, shape: [runs, ...spec.shape] });
  const inputs = Object.fromEntries(
    Object.entries(graph.inputs).map(([name, spec]) => [name, sliced.includes(name) ? leading(spec) : spec]),
  );
  const outputs = Object.fromEntries(
    [...carried, ...stacked].map((name) => {
      const spec = graph.outputs[name]!;
      return [name, stacked.includes(name) ? leading(spec) : spec];
    }),
  );
  return {
    name: `${graph.name}/${runs}`,
    inputs,
    outputs,
    nodes: [node("Loop", ["loop/runs", GOES_ON, ...state], [...carried, ...stacked], { body })],
    constants: [
      constant("loop/runs", "int64", new Uint8Array(BigInt64Array.of(BigInt(runs)).buffer)),
      constant(GOES_ON, "bool", Uint8Array.of(1)),
    ],
    values: new Map(Object.entries({ ...inputs, ...outputs })),
  };
}

function checkCarried(graph: Graph, name: string, after: ValueSpec, perRun: readonly string[]): void {
  const before = graph.inputs[name];
  const fault = !before
    ? "which the result does not depend on"
    : perRun.includes(name)
      ? "which is given per run"
      : before.dtype !== after.dtype || `${before.shape}` !== `${after.shape}`
        ? `but is ${after.dtype} [${after.shape}] where that is ${before.dtype} [${before.shape}]`
        : undefined;
  if (fault) throw new RangeError(`repeat: ${graph.name}'s output ${NEXT}${name} must fit the input ${name}, ${fault}`);
}

function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: GraphNode["attributes"] = {},
): GraphNode {
  return { op, inputs, outputs, attributes };
}

function constant(name: string, dtype: "int64" | "bool", bytes: Uint8Array): GraphConstant {
  return { name, shape: [], dtype, bytes };
}
