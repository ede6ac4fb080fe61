/**
 * Every objective inside a graph against its float64 twin over several steps, op by op in TensorFlow.js's CPU backend and
 * traced and run by the ONNX engine; and the golden runs of DoReMi with the state kept in float32.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { runCompiled } from "../engine/run.ts";
import { readGolden } from "../mixture/golden.ts";
import { batchOf, factsOf, type Trace, tokensOf } from "../mixture/traces.ts";
import { GROUP_DRO, OBJECTIVE_CASES } from "./objective-cases.ts";
import {
  expectTwin,
  expectWithin,
  objectiveInputs,
  objectiveProgram,
  randomBatch,
  type TwinRun,
  unevenFacts,
} from "./twins.ts";

/** Mean losses around 3 in float32 are right to 2e-7 or so, and a weight moves by a few times what its exponent does. */
const TOLERANCE = 1e-5;
const STEPS = 6;

let engine: Engine;
let tf: TensorFlow;
beforeAll(async () => {
  tf = await loadTensorFlow();
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

const check = (run: Omit<TwinRun, "tolerance">) => expectTwin(engine, { ...run, tolerance: TOLERANCE }, tf);

describe("a graph's objective is its float64 twin", () => {
  describe.each([
    { name: "3 domains, 12 sequences", domains: 3, sequences: 12 },
    { name: "22 domains, 64 sequences", domains: 22, sequences: 64 },
    { name: "one domain", domains: 1, sequences: 4 },
    { name: "one sequence", domains: 4, sequences: 1 },
  ])("$name", ({ domains, sequences }) => {
    const facts = unevenFacts(domains);
    const batches = Array.from({ length: STEPS }, (_, step) => randomBatch(sequences, domains, step));
    test.each(OBJECTIVE_CASES)("%s", (_name, settings) => check({ settings, facts, batches }));
  });

  test.each(OBJECTIVE_CASES)("%s, of a batch without any token", async (_name, settings) => {
    const { domains, tokens } = randomBatch(4, 3, 1);
    const none = tokens.map(() => 0);
    const batch = { domains, tokens: none, loss: none, excess: none, clipped: none };
    await check({ settings, facts: unevenFacts(3), batches: [batch] });
  });

  // Halves and quarters, of which float32 makes the same ties as float64.
  test.each(OBJECTIVE_CASES)("%s, of equal losses", async (_name, settings) => {
    const batches = [
      tokensOf([0, 1, 1, 2, 3], [2.5, 2.5, 2.5, 2.5, 2.5], [0.5, 0.5, 0.5, 0.5, 0.5]),
      tokensOf([0, 1, 1, 2, 2], [1, 3, 3, 2, 4], [1, 1, 1, 1, 1]),
      tokensOf([0, 1, 2, 3, 3], [0, 0, 0, 0, 0], [1, 2, 2, 1, 1]),
    ];
    await check({ settings, facts: { ...factsOf(4), sizes: [1000, 1000, 2000, 4000] }, batches });
  });

  // As losses are when a run has diverged, but not yet to where nothing is a number.
  test.each(OBJECTIVE_CASES)("%s, of enormous losses", async (_name, settings) => {
    const batches = [tokensOf([0, 1, 2, 2], [10240, 128, 8192, 3], [0, 0, 0, 5120])];
    await check({ settings, facts: factsOf(3), batches });
  });

  test("of held-out losses, measured between steps", async () => {
    const settings = { ...GROUP_DRO, adjustment: "held-out", adjustments: [null, 3, null] } as const;
    const facts = unevenFacts(3);
    const objective = createObjective(settings, facts);
    const batches = Array.from({ length: STEPS }, (_, step) => randomBatch(12, 3, step));
    for (const update of ["online", "best-response"] as const) {
      await check({
        settings: { ...settings, update },
        facts,
        batches,
        between: (state, step) => (step % 2 === 0 ? objective.observe!(state, [3.5 + step, 2, Number.NaN]) : state),
      });
    }
  });

  test("multiplies no matrices, which engines may do in 16 bits", () => {
    for (const [name, settings] of OBJECTIVE_CASES) {
      const { nodes } = traceProgram(tf, objectiveProgram(settings, unevenFacts(3), 8));
      expect(
        nodes.filter(({ op }) => op === "Gemm" || op === "MatMul"),
        name,
      ).toEqual([]);
    }
  });
});

describe("golden runs of 50 steps, the state in float32 from step to step", () => {
  interface Run {
    inputs: string;
    eta: number;
    eps: number;
    float64: { alpha: number[] }[];
  }
  test.each([
    ["paper", "paper_k3_missing_eta1_eps0.001.json"],
    ["paper", "paper_k22_missing_eta1_eps0.0001.json"],
    ["official", "official_k3_missing_eta1_eps0.001.json"],
    ["official", "official_k22_missing_eta0.1_eps0.0001.json"],
  ] as const)("%s: %s", async (preset, file) => {
    const run = readGolden<Run>(`doremi/${file}`);
    const trace = readGolden<Trace>(`doremi/${run.inputs}`);
    const settings = { ...DOREMI_PRESETS[preset], eta: run.eta, smoothing: run.eps };
    const facts = factsOf(trace.k, { vocabularySize: trace.vocab_size });
    const batches = trace.steps.map(batchOf);
    const executable = await engine.compile(objectiveProgram(settings, facts, batches[0]!.domains.length));
    let state = createObjective(settings, facts).init();
    for (const [t, { alpha }] of run.float64.entries()) {
      const found = await runCompiled(engine, executable, objectiveInputs(batches[t]!, state));
      // what float32 adds up to over the steps; smoothing forgets it again
      expectWithin(found.alpha!.data, alpha, 5e-6, `step ${t + 1}`);
      const next = Object.keys(state).map((name) => [name, Float64Array.from(found[`next/${name}`]!.data)]);
      state = Object.fromEntries(next);
    }
    await executable.close();
  });
});
