/** `doremi weights` as its users call it: the real program on the quickstart's counts and on RegMix's runs. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { describeFailure } from "../../src/cli/failure.ts";
import { weigh } from "../../src/cli/weighing.ts";
import type { WeightsOptions } from "../../src/cli/weights-contract.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { smallPipeline } from "../e2e/small.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COUNTS = join(ROOT, "pipelines/quickstart/counts.json");
const QUICKSTART = join(ROOT, "pipelines/quickstart.yaml");
const RUNS = join(ROOT, "test/files/regmix");
const REGMIX = { regression: join(RUNS, "train_mixture_1m.csv"), losses: join(RUNS, "train_pile_loss_1m.csv") };
const folder = mkdtempSync(join(tmpdir(), "doremi-weights-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function doremi(...args: string[]) {
  const main = join(ROOT, "src/cli/main.ts");
  const tsx = join(ROOT, "node_modules/tsx/dist/loader.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", tsx, main, ...args], {
    cwd: folder,
    encoding: "utf8",
  });
  return { status, stderr, line: JSON.parse(stdout) };
}

interface Method {
  readonly method: string;
  readonly from: string;
  readonly weights: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
  readonly regression?: {
    readonly warnings: readonly string[];
    readonly crossValidated: { readonly spearman: number };
  };
}

describe("doremi weights", () => {
  it("shows the methods side by side, from a counts file", () => {
    const { status, line, stderr } = doremi("weights", "--counts", COUNTS, "--tokenizer", "r50k", "--budget", "10M");
    expect(status).toBe(0);
    const methods = line.methods as Method[];
    expect(methods.map(({ method }) => method)).toEqual(["natural", "uniform", "temperature", "unimax"]);
    const [natural, uniform, temperature, unimax] = methods.map(({ weights }) => weights);
    const total = Object.values(line.tokens as Record<string, number>).reduce((sum, tokens) => sum + tokens, 0);
    expect(natural!.books).toBeCloseTo(1_340_187 / total, 12);
    expect(uniform!.math).toBe(0.125);
    // by hand: tokens^(1/3.3)
    expect(temperature!.books! / temperature!.math!).toBeCloseTo((1_340_187 / 63_402) ** (1 / 3.3), 10);
    expect(unimax!.math).toBeCloseTo((4 * 63_402) / 10e6, 12);
    expect(unimax!.books).toBeCloseTo(unimax!.csource!, 12);
    expect(stderr).toMatch(/domain +tokens +natural +uniform +temperature +unimax/);
    expect(stderr).toMatch(/most epochs/);
  });

  it("writes weights that resample takes", () => {
    const out = join(folder, "weights.json");
    const { status, line } = doremi(
      "weights",
      "--counts",
      COUNTS,
      "--method",
      "temperature",
      "--exponent",
      "0.5",
      "--out",
      out,
    );
    expect(status).toBe(0);
    const [{ weights, from }] = line.methods as [Method];
    expect(JSON.parse(readFileSync(out, "utf8"))).toEqual(weights);
    expect(from).toBe("temperature 2, exponent 0.5");
    expect(doremi("weights", "--counts", COUNTS, "--method", out).line.methods[0].weights).toEqual(weights);
  });

  it("fits RegMix's runs and says how well", () => {
    const { status, line, stderr } = doremi(
      ...[
        "weights",
        "--regression",
        join(RUNS, "train_mixture_1m.csv"),
        "--losses",
        join(RUNS, "train_pile_loss_1m.csv"),
      ],
      ...["--target", "pile-cc", "--kl", "0"],
    );
    expect(status).toBe(0);
    const [{ weights, regression, notes }] = line.methods as [Method];
    // what the notebook of RegMix finds too: nearly all of Pile-CC
    expect(weights.train_the_pile_pile_cc).toBeGreaterThan(0.85);
    expect(regression!.crossValidated.spearman).toBeGreaterThan(0.95);
    expect(regression!.warnings.join("\n")).toMatch(/corner: .*train_the_pile_pile_cc/);
    expect(notes[0]).toMatch(/rows add up to 0.996 … 1.003; normalised to 1/);
    expect(stderr).toMatch(/Spearman 0\.9\d+ and R²/);
  });

  const bad = join(folder, "bad.csv");
  writeFileSync(bad, "a,b,loss\n0.5,0.5,1\n0.5,0.2,2\n");
  it.each([
    ["nothing to go on", {}, 2, /needs a pipeline file, --counts or --regression/],
    ["a misspelt method", { counts: COUNTS, method: ["unimaxx"] }, 2, /did you mean “unimax”/],
    ["UniMax without a budget", { counts: COUNTS, method: ["unimax"] }, 2, /give --budget/],
    ["several methods into one file", { counts: COUNTS, out: "w.json" }, 2, /found 3 \(natural/],
    ["trees and an exact optimum", { regression: bad, fit: "trees", search: "exact" }, 2, /simulate for trees/],
    ["rows that are no mixtures", { regression: bad }, 65, /bad.csv: its first columns must be the weights/],
    ["a file that is not there", { counts: "none.json" }, 66, /none.json: no such file/],
    ["a tokenizer that nothing was counted with", { counts: COUNTS, tokenizer: "r5k" }, 2, /did you mean “r50k”/],
    ["a target that is not there", { ...REGMIX, target: ["books"] }, 78, /no column of the target “books”/],
    ["a prior without sizes", { ...REGMIX, prior: "natural" }, 2, /--prior natural needs the sizes/],
    ["caps without sizes", { ...REGMIX, maxEpochs: 4, budget: 1e9 }, 2, /--max-epochs needs the sizes/],
  ] as [string, WeightsOptions, number, RegExp][])("refuses %s", async (_, options, exit, message) => {
    const failure = describeFailure(await weigh(undefined, options).catch((error: unknown) => error));
    expect(failure.message).toMatch(message);
    expect(failure.status).toBe(exit);
  });

  it("ends with the failure's status and a line", () => {
    const { status, line, stderr } = doremi("weights", QUICKSTART, "-o", join(folder, "none"));
    expect(status).toBe(66);
    expect(line.error.code).toBe("not-counted");
    expect(stderr).toMatch(/count first: doremi run .*quickstart.yaml --until count/);
  });

  it("takes a pipeline's counts, learned weights and budget", async () => {
    const pipeline = smallPipeline(join(folder, "small"));
    await runPipeline(pipeline, { until: "count" });
    const path = join(folder, "small.yaml");
    const { data, tokenizer, count } = pipeline.config;
    const file = {
      version: 1,
      name: "small",
      output: "small",
      tokenizer,
      count,
      data,
      resample: { budgetTokens: 60_000 },
    };
    writeFileSync(path, JSON.stringify(file)); // which YAML is, too
    const { result } = (await weigh(path, {})) as { result: { methods: Method[]; budgetTokens: number } };
    expect(result.budgetTokens).toBe(60_000);
    expect(result.methods.map(({ method }) => method)).toEqual(["natural", "uniform", "temperature", "unimax"]);
    const learned = { ...result.methods[0]!.weights };
    mkdirSync(join(folder, "small/proxy"));
    writeFileSync(join(folder, "small/proxy/weights.json"), JSON.stringify(learned));
    const again = (await weigh(path, {})) as { result: { methods: Method[] } };
    expect(again.result.methods.at(-1)).toMatchObject({ method: "learned", weights: learned, from: "doremi" });
  });
});
