/** What tracing leaves out, shares, refuses and cleans up; and how the engine guards its inputs. */
import "@tensorflow/tfjs-backend-cpu";
import type { Tensor } from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { cpuThreads, createCpuEngine } from "../../src/engine/cpu.ts";
import type { Program } from "../../src/engine/engine.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";
import { runTraced } from "./run.ts";

const float = (...shape: number[]) => ({ shape, dtype: "float32" as const });

function program(build: (tf: TensorFlow, x: Tensor) => Record<string, Tensor>): Program {
  return { name: "test", inputs: { x: float(2, 3), unused: float(5) }, build: (tf, { x }) => build(tf, x!) };
}

let tf: TensorFlow;
beforeAll(async () => {
  tf = await loadTensorFlow();
});

describe("traceProgram", () => {
  test("keeps only what the outputs need", () => {
    const graph = traceProgram(
      tf,
      program((tf, x) => ({ y: tf.neg(x), ...(tf.exp(x) && {}) })),
    );
    expect(graph.nodes.map((node) => node.op)).toEqual(["Neg"]);
    expect(Object.keys(graph.inputs)).toEqual(["x"]);
    expect(graph.outputs.y).toEqual({ shape: [2, 3], dtype: "float32" });
  });

  test("stores equal constants once, and large uniform ones as one element", () => {
    const graph = traceProgram(
      tf,
      program((tf, x) => ({ y: tf.add(tf.mul(x, 2), tf.mul(tf.sum(tf.ones([64, 64])), 2)) })),
    );
    const sizes = graph.constants
      .filter((constant) => constant.dtype === "float32")
      .map((constant) => constant.bytes.length);
    expect(sizes).toEqual([4, 4]); // 2 and 1
  });

  test("an input or one value under two names can be an output", async () => {
    const engine = await createCpuEngine({ threads: 1 });
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const same = program((tf, x) => {
      const y = tf.neg(x);
      return { a: y, b: y, c: tf.clone(x), d: tf.add(y, 1) };
    });
    const out = await runTraced(engine, same, { x: { data, shape: [2, 3] } });
    expect(Array.from(out.a!.data)).toEqual([-1, -2, -3, -4, -5, -6]);
    expect(out.b!.data).toEqual(out.a!.data);
    expect(out.c!.data).toEqual(data);
    expect(Array.from(out.d!.data)).toEqual([0, -1, -2, -3, -4, -5]);
    await engine.close();
  });

  test("frees every tensor and gives the active backend back", async () => {
    await tf.setBackend("cpu");
    const before = tf.memory().numTensors;
    traceProgram(
      tf,
      program((tf, x) => ({ y: tf.keep(tf.exp(tf.add(x, tf.scalar(1)))) })),
    );
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.getBackend()).toBe("cpu");
  });

  test("refuses reading data and tensors from outside, and still gives the backend back", async () => {
    await tf.setBackend("cpu");
    expect(() =>
      traceProgram(
        tf,
        program((_, x) => ({ y: x.dataSync() && x })),
      ),
    ).toThrow(/no data/);
    const outside = tf.keep(tf.randomUniform([2, 3]));
    expect(() =>
      traceProgram(
        tf,
        program((tf, x) => ({ y: tf.add(x, outside) })),
      ),
    ).toThrow(/inputs and constants made inside/);
    expect(tf.getBackend()).toBe("cpu");
    expect(() =>
      traceProgram(
        tf,
        program((tf, x) => ({ y: tf.cumsum(x) as Tensor })),
      ),
    ).toThrow(/Cumsum/);
  });
});

describe("CpuEngine", () => {
  test("adds every row where a segment id repeats, the same way each time", async () => {
    const engine = await createCpuEngine({ threads: 4 });
    const rows = 4096;
    const width = 64;
    const sum: Program = {
      name: "sum",
      inputs: { x: float(rows, width), ids: { shape: [rows], dtype: "int32" } },
      build: (tf, { x, ids }) => ({ y: tf.unsortedSegmentSum(x!, ids as never, 3) }),
    };
    const executable = await engine.compile(sum);
    const x = engine.tensor(new Float32Array(rows * width).fill(1), [rows, width]);
    const ids = engine.tensor(
      Int32Array.from({ length: rows }, (_, i) => i % 2),
      [rows],
    );
    for (let round = 0; round < 5; round++) {
      const { y } = await executable.run({ x, ids });
      const expected = new Float32Array(3 * width).fill(rows / 2, 0, 2 * width);
      expect(await y!.read()).toEqual(expected);
    }
    await engine.close();
  });

  test("refuses a missing input, a wrong shape and a bad number of threads", async () => {
    const engine = await createCpuEngine();
    const executable = await engine.compile(program((tf, x) => ({ y: tf.neg(x) })));
    await expect(executable.run({})).rejects.toThrow(/input x is missing/);
    await expect(executable.run({ x: engine.tensor(new Float32Array(6), [3, 2]) })).rejects.toThrow(
      /must be float32 \[2,3\], found float32 \[3,2\]/,
    );
    expect(() => engine.tensor(new Float32Array(5), [2, 3])).toThrow(/needs 6 values, found 5/);
    await engine.close();
    await expect(createCpuEngine({ threads: 0 })).rejects.toThrow(/threads must be an integer/);
  });

  test("takes no more threads than there are processors", () => {
    expect([cpuThreads(1000, 2), cpuThreads(2, 8), cpuThreads(8, 8)]).toEqual([2, 2, 8]);
  });
});
