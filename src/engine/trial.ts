/**
 * A provider of ONNX Runtime tried out in a process of its own: drivers print what they like, and a broken one takes the
 * process with it. What is found is whether the provider works, and how fast it multiplies matrices.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { GraphBuilder, type ValueSpec } from "./graph.ts";
import { DATA_TYPE, encodeOnnx } from "./onnx.ts";

export type Trial =
  | {
      readonly works: true;
      /** GFLOP/s in float32 */
      readonly speed: number;
      readonly float16: boolean;
    }
  | {
      readonly works: false;
      /** first lines of what the provider and its driver said */
      readonly found: string;
    };

export function speedText(speed: number): string {
  return `${speed < 10 ? Number(speed.toPrecision(2)) : Math.round(speed)} GFLOP/s in products of matrices`;
}

/** Of the matrices: the first shows a software driver, to which the second is not given. */
const [SMALL, LARGE] = [256, 1024];
const PRODUCTS = 4;
const SLOW_GFLOPS = 10;
const TIME_LIMIT_MS = 60_000;

const FLOPS_PER_CUBE = 2 * PRODUCTS;

/** Runs in the child; plain JavaScript, for it has no file of its own. */
const SCRIPT = `
const [library, provider] = process.argv.slice(1);
const { small, half, large, slow } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const ort = require(library);
async function speed({ size, model, flops }) {
  const options = { executionProviders: [provider], logSeverityLevel: 4 };
  const session = await ort.InferenceSession.create(Buffer.from(model, "base64"), options);
  let best = 0;
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const x = new ort.Tensor("float32", new Float32Array(size * size).fill(1 / size), [size, size]);
    const { y } = await session.run({ x });
    if (Math.abs(y.data[0] - size) > 0.01 * size) throw new Error("a product of matrices is wrong: " + y.data[0]);
    best = Math.max(best, flops / (performance.now() - start) / 1e6);
  }
  return best;
}
(async () => {
  const first = await speed(small);
  const float16 = await speed(half).then(() => true, () => false);
  process.stdout.write(JSON.stringify({ works: true, speed: first < slow ? first : await speed(large), float16 }));
})().catch((error) => {
  process.stderr.write("\\nfailed: " + error.message);
  process.exitCode = 1;
});
`;

/** @param environment of the child, for tests */
export async function tryProvider(provider: string, environment = process.env): Promise<Trial> {
  const library = createRequire(import.meta.url).resolve("onnxruntime-node");
  const child = spawn(process.execPath, ["-e", SCRIPT, library, provider], {
    env: environment,
    stdio: ["pipe", "pipe", "pipe"],
    timeout: TIME_LIMIT_MS,
  });
  const collect = (stream: NodeJS.ReadableStream): Promise<string> =>
    new Promise((resolve) => {
      let text = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk: string) => {
        text += chunk;
      });
      stream.on("close", () => resolve(text));
    });
  const ended = new Promise<string | null>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(code === 0 ? null : signal ? `killed by ${signal}` : `status ${code}`));
  });
  child.stdin.on("error", () => {}); // a child that ended at once says why itself
  const small = task(SMALL, "float32");
  child.stdin.end(
    JSON.stringify({ small, half: task(SMALL, "float16"), large: task(LARGE, "float32"), slow: SLOW_GFLOPS }),
  );
  const [output, errors, failure] = await Promise.all([collect(child.stdout), collect(child.stderr), ended]);
  if (failure !== null || output === "") return { works: false, found: complaint(errors) ?? failure ?? "no result" };
  return JSON.parse(output) as Trial;
}

/** Products one after another and the sum of the last, so that little is sent beside the first matrix. */
function task(size: number, dtype: "float32" | "float16"): { size: number; flops: number; model: string } {
  const graph = new GraphBuilder();
  const matrix: ValueSpec = { shape: [size, size], dtype };
  const input = graph.input("x", { ...matrix, dtype: "float32" });
  const [x] = graph.emit("Cast", [input], [matrix], { to: DATA_TYPE[dtype] });
  let product = x!;
  for (let i = 0; i < PRODUCTS; i++) product = graph.emit("MatMul", [product, x!], [matrix])[0]!;
  const [wide] = graph.emit("Cast", [product], [{ ...matrix, dtype: "float32" }], { to: DATA_TYPE.float32 });
  const [sum] = graph.emit("ReduceSum", [wide!, graph.ints([0, 1])], [{ shape: [], dtype: "float32" }], {
    keepdims: 0,
  });
  const model = Buffer.from(encodeOnnx(graph.finish("trial", { y: sum! }))).toString("base64");
  return { size, flops: FLOPS_PER_CUBE * size ** 3, model };
}

/** The driver's own words come first, then the runtime's without its source locations. */
function complaint(errors: string): string | undefined {
  const lines = errors.split("\n").map((line) => line.trim());
  const warning = lines.find((line) => line.startsWith("Warning: "))?.slice("Warning: ".length);
  const failed = lines.find((line) => line.startsWith("failed: "))?.slice("failed: ".length);
  const reason = failed?.replace(/^.* was false\. /, "").replace(/^\/\S+ \S.*?\) /, "");
  const found = [reason, warning].filter((text) => text !== undefined);
  if (found.length > 0) return found.join(": ");
  return lines.find((line) => /^\w*Error: /.test(line)) ?? lines.find((line) => line !== "");
}
