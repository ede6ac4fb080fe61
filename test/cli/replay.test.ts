/** `doremi replay` as a user sees it: objectives on the command line, the table, the files that it writes. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { objectiveParts, parseObjective } from "../../src/cli/replay-objective.ts";
import { replayLines, reproductionLine } from "../../src/cli/replay-table.ts";
import { replay } from "../../src/cli/replaying.ts";
import { parseCsv } from "../../src/lib/csv.ts";
import { DOREMI_PRESETS, OBJECTIVE_NAMES } from "../../src/mixture/objective-settings.ts";
import { parseWeightsFile } from "../../src/mixture/weights.ts";
import type { ReplayResult } from "../../src/stages/trace-replay.ts";
import { readGolden } from "../mixture/golden.ts";
import { domainNames, type GoldenInputs, recordedProxy, recordsOf, writeRun } from "../stages/recorded.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NAMES = ["a,b", 'q"', "宋词"];

let folder: string;
let trace: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "doremi-replay-"));
  const inputs = readGolden<GoldenInputs>("doremi/inputs_k3_missing.json");
  const proxy = recordedProxy(inputs, DOREMI_PRESETS.paper, { reference: [0.2, 0.3, 0.5] });
  trace = await writeRun(folder, proxy, recordsOf(inputs, proxy), NAMES);
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (options: Partial<Parameters<typeof replay>[1]>) =>
  replay(trace, { objective: [], ...options }, new AbortController().signal);

describe("an objective on the command line", () => {
  it.each([
    ["doremi", DOREMI_PRESETS.paper],
    ["doremi,preset=official", DOREMI_PRESETS.official],
    ["doremi, eta = 0.1, missing=carry", { ...DOREMI_PRESETS.paper, eta: 0.1, missing: "carry" }],
    ["chi-square,size=2,over=sequences", { name: "chi-square", size: 2, over: "sequences", losses: "excess" }],
    ["group-dro,adjustments=[1,null,2],normalizeLoss=true", { adjustments: [1, null, 2], normalizeLoss: true }],
    ["group-dro,adjustment=held-out,adjustments=null", { adjustment: "held-out", adjustments: null }],
    ["erm", { name: "erm" }],
  ])("%s", (text, expected) => {
    expect(parseObjective(text)).toMatchObject(expected);
  });

  it.each([
    ["doremy", "unknown-objective", "there is no objective “doremy”; did you mean “doremi”?"],
    ["adamw", "unknown-objective", `there are ${OBJECTIVE_NAMES.join(", ")}`],
    ["doremi,etta=1", "unknown-setting", "doremi has no setting “etta”; did you mean “eta”?"],
    ["doremi,stepSize=1", "unknown-setting", "it has preset, eta, smoothing"],
    ["erm,eta=1", "unknown-setting", "erm has no setting “eta”; it has none"],
    ["doremi,eta", "bad-setting", "“eta” must be a setting and its value"],
    ["doremi,eta=1,eta=2", "bad-setting", "“eta” is there twice"],
    ["doremi,eta=-1", "bad-setting", "“eta” must be >0, found -1"],
    ["doremi,eta=fast", "bad-setting", '“eta” must be number, found "fast"'],
    ["doremi,clip=tokn", "bad-setting", '“clip” must be "token" or "domain", found "tokn"; did you mean “token”?'],
    ["group-dro,adjustment=heldout", "bad-setting", '“adjustment” must be number or "held-out", found "heldout"'],
    ["cvar,size=2", "bad-setting", "“size” must be <=1, found 2"],
    ["", "unknown-objective", "there is no objective “”"],
  ])("refuses %s", (text, code, message) => {
    expect(() => parseObjective(text)).toThrow(
      expect.objectContaining({ kind: "usage", code, message: expect.stringContaining(message) }),
    );
  });

  it.each([
    "doremi",
    "doremi,preset=official",
    "doremi,preset=official,eta=0.1",
    "doremi,eta=0.1,missing=carry",
    "group-dro,adjustments=[1,null],update=best-response",
    ...OBJECTIVE_NAMES.filter((name) => name !== "doremi"),
  ])("%s is shown as it was given", (text) => {
    expect(parseObjective(objectiveParts(parseObjective(text)).join(","))).toEqual(parseObjective(text));
    expect(objectiveParts(parseObjective(text)).join(",")).toBe(text);
  });
});

describe("the table", () => {
  const lines = (K: number, changes: Readonly<Record<number, number>>, most?: number) => {
    const average = new Float64Array(K).fill(1 / K);
    const other = average.slice();
    for (const [domain, change] of Object.entries(changes)) other[Number(domain)]! += change;
    const weights = { average, alpha: average };
    const result: ReplayResult = {
      steps: 5,
      run: { settings: DOREMI_PRESETS.paper, ...weights },
      reproduction: { verdict: "exact", largest: 0, step: null },
      objectives: [{ settings: parseObjective("doremi,preset=official,eta=0.5"), average: other, alpha: other }],
      notes: [],
    };
    return replayLines(result, domainNames(K), most);
  };

  it("has a column for each objective, its change, the largest marked, and what moved in all", () => {
    expect(lines(3, { 0: 0.05, 1: -0.1, 2: 0.05 })).toEqual([
      "                                 doremi",
      "              the run:  preset=official",
      "domain          doremi          eta=0.5   change",
      "────────────  ────────  ───────────────  ─────────",
      "domain-1        0.3333           0.3833  +0.0500",
      "domain-2        0.3333           0.2333  -0.1000 ◂",
      "domain-3        0.3333           0.3833  +0.0500",
      "────────────  ────────  ───────────────  ─────────",
      "moved in all                              10.00%",
    ]);
  });

  it("of 22 domains has all, in their order", () => {
    const rows = lines(22, { 21: -0.01, 3: 0.01 }).filter((line) => line.startsWith("domain-"));
    expect(rows.map((line) => line.split(" ")[0])).toEqual(domainNames(22));
  });

  it("of 200 domains has those that change most, and says how little the others do", () => {
    const changes = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [i * 3, (i - 29.5) / 1e5]));
    const all = lines(200, changes);
    const rows = all.filter((line) => line.startsWith("domain-"));
    expect(rows).toHaveLength(40);
    expect(rows[0]).toMatch(/^domain-(1|178) .*[+-]0\.0003 ◂$/);
    expect(all.at(-1)).toBe("… and 160 more domains, whose weights change by no more than 0.0001.");
  });

  it("says whether the run's weights follow from its losses", () => {
    const of = (reproduction: ReplayResult["reproduction"]) =>
      reproductionLine({ steps: 1000, run: { settings: DOREMI_PRESETS.paper }, reproduction } as ReplayResult);
    expect(of({ verdict: "exact", largest: 0, step: null })).toMatch(/all 1,000 steps bit for bit/);
    expect(of({ verdict: "rounded", largest: 2e-15, step: null })).toMatch(/to rounding \(2e-15\)/);
    expect(of({ verdict: "different", largest: 0.1, step: 7 })).toMatch(/does NOT .* from step 7 on .* 1\.0e-1\./);
    expect(of(null)).toMatch(/cannot be told/);
  });
});

describe("a replay", () => {
  it("gives the run's weights first, then each objective's, and says that the losses are held fixed", async () => {
    const { result, lines } = await run({ objective: ["doremi,preset=official", "kl,over=sequences"] });
    expect(result).toMatchObject({
      file: trace,
      of: "sequences",
      steps: 50,
      run: { objective: DOREMI_PRESETS.paper, reproduction: { verdict: "exact" } },
      objectives: [{ objective: DOREMI_PRESETS.official }, { objective: { name: "kl", over: "sequences" } }],
    });
    const official = readGolden<{ float64: { avg: number[] }[] }>("doremi/official_k3_missing_eta1_eps0.001.json");
    const { objectives } = result as { objectives: { weights: Record<string, number> }[] };
    expect(Object.keys(objectives[0]!.weights)).toEqual(NAMES);
    for (const [k, weight] of official.float64.at(-1)!.avg.entries())
      expect(objectives[0]!.weights[NAMES[k]!]).toBeCloseTo(weight, 9);
    expect(lines.join("\n")).toContain("A replay holds the losses fixed");
  });

  it("writes weights that a pipeline takes, and the weights over the steps", async () => {
    const [out, trajectory] = [join(folder, "w.json"), join(folder, "w.csv")];
    const { result } = await run({ objective: ["doremi,eta=0.1"], out, trajectory });
    const { objectives } = result as { objectives: { weights: Record<string, number> }[] };
    const expected = Object.values(objectives[0]!.weights);
    expect(parseWeightsFile(readFileSync(out, "utf8"), NAMES, out)).toEqual({ weights: expected, notes: [] });
    const { header, rows } = parseCsv(readFileSync(trajectory, "utf8"), trajectory);
    expect(header).toEqual(["step", "objective", "domain", "alpha", "average"]);
    expect(rows).toHaveLength(50 * 2 * 3);
    const last = rows.filter(([step, objective]) => step === "50" && objective === "doremi,eta=0.1");
    expect(last.map((row) => row[2])).toEqual(NAMES);
    expect(last.map((row) => Number(row[4]))).toEqual(expected);
  });

  it("starts from other weights: uniform, the reference's, a file's", async () => {
    const file = join(folder, "start.json");
    writeFileSync(file, JSON.stringify({ "a,b": 0.2, 'q"': 0.3, 宋词: 0.5 }));
    const weightsOf = async (start?: string) => {
      const { result } = await run({ objective: ["doremi"], ...(start !== undefined && { start }) });
      return (result as { objectives: { weights: object }[] }).objectives[0]!.weights;
    };
    expect(await weightsOf("uniform")).toEqual(await weightsOf());
    expect(await weightsOf("reference")).toEqual(await weightsOf(file));
    expect(await weightsOf("reference")).not.toEqual(await weightsOf());
    await expect(weightsOf(join(folder, "absent.json"))).rejects.toMatchObject({ code: "missing-file" });
  });

  it("refuses --out for several objectives or none", async () => {
    await expect(run({ objective: ["erm", "doremi"], out: "w.json" })).rejects.toThrow(
      /found 2; give --objective once/,
    );
    await expect(run({ out: "w.json" })).rejects.toMatchObject({ kind: "usage", code: "out-of-several" });
  });

  it("is a command: one line of JSON, exit status 2 for what is mistyped", () => {
    const doremi = (...args: string[]) =>
      spawnSync(process.execPath, ["--import", "tsx", join(ROOT, "src", "cli", "main.ts"), "replay", ...args], {
        encoding: "utf8",
        cwd: ROOT,
      });
    const good = doremi(folder, "--objective", "doremi,eta=0.1", "--objective", "erm");
    expect(good.status).toBe(0);
    expect(good.stdout.split("\n")).toHaveLength(2);
    expect(JSON.parse(good.stdout)).toMatchObject({
      command: "replay",
      objectives: [{}, { objective: { name: "erm" } }],
    });
    expect(good.stderr).toContain("bit for bit");
    const bad = doremi(folder, "--objective", "doremi,ets=0.1");
    expect(bad.status).toBe(2);
    expect(JSON.parse(bad.stdout).error).toMatchObject({ code: "unknown-setting" });
  });
});
