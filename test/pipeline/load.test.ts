import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openPipeline } from "../../src/cli/options.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { weigh } from "../../src/cli/weighing.ts";
import { parseBytes } from "../../src/lib/byte-size.ts";
import { DoremiError } from "../../src/lib/errors.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { definePipeline, type LoadOptions, parsePipeline } from "../../src/pipeline/load.ts";

const HEAD = "version: 1\nname: a\noutput: out\ntokenizer: r50k\n";

function fault(text: string): DoremiError {
  try {
    parsePipeline(text, "p.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(DoremiError);
    return error as DoremiError;
  }
  throw new Error("the file was accepted");
}

describe("a pipeline file", () => {
  it("gets every default", () => {
    const config = parsePipeline(`${HEAD}data: { files: "x/{domain}/*" }\n`, "p.yaml");
    expect(config.data).toMatchObject({
      files: ["x/{domain}/*"],
      textColumn: "text",
      onBadShard: "fail",
      heldOut: { fraction: 0.01, minDocuments: 4 },
    });
    expect(config.train.proxy).toEqual({
      steps: 1000,
      objective: DOREMI_PRESETS.paper,
      start: "uniform",
      sampling: "uniform",
      trace: true,
      referenceLosses: "auto",
    });
    expect(config.resample).toMatchObject({ weights: "learned", budgetTokens: "auto", maxEpochs: 4 });
  });

  describe("the proxy's objective", () => {
    const proxy = (settings: string) =>
      parsePipeline(`${HEAD}data: { files: "x/{domain}/*" }\ntrain:\n  proxy: ${settings}\n`, "p.yaml").train.proxy;

    it("is a name, a table, or short for DoReMi's step size and smoothing", () => {
      expect(proxy("{ objective: { eta: 0.1 } }")).toEqual(proxy("{ eta: 0.1 }"));
      expect(proxy("{ objective: { name: doremi, smoothing: 0.01 } }")).toEqual(proxy("{ smoothing: 0.01 }"));
      expect(proxy("{ objective: erm }").objective).toEqual({ name: "erm" });
      expect(proxy("{ objective: { name: kl, size: 0.2, over: sequences } }").objective).toEqual({
        ...{ name: "kl", size: 0.2, over: "sequences" },
        ...{ losses: "excess", regularization: 0 },
      });
    });

    it("samples as it weighs: by the reference's weights where the loss is token-weighted", () => {
      const official = proxy("{ objective: { preset: official, eta: 0.5 } }");
      expect(official.objective).toEqual({ ...DOREMI_PRESETS.official, eta: 0.5 });
      expect(official).toMatchObject({ start: "reference", sampling: "reference" });
      expect(proxy("{ objective: { preset: official }, sampling: uniform }").sampling).toBe("uniform");
    });

    it("lets the learning rate fall to 1e-4 as in the paper, or stay where it is lower", () => {
      const last = (rate: number) =>
        parsePipeline(`${HEAD}data:\n  files: a\ntrain:\n  optimizer:\n    learningRate: ${rate}\n`, "p.yaml").train
          .optimizer.finalLearningRate;
      expect([1e-3, 1e-4, 5e-5].map(last)).toEqual([1e-4, 1e-4, 5e-5]);
    });

    it.each([
      ["{ objective: group-drro }", /“train.proxy.objective” must be .*"group-dro"/],
      ["{ objective: { name: cvar, sise: 0.1 } }", /“train.proxy.objective.sise”; did you mean “size”/],
      ["{ objective: { name: cvar, size: 2 } }", /“train.proxy.objective.size” must be <=1, found 2/],
      ["{ objective: { name: nothing } }", /“train.proxy.objective.name” must be .*"kl".*, found "nothing"/],
      ["{ objective: kl, eta: 0.1 }", /“train.proxy.eta” must be left out for the objective kl, found 0.1/],
      [
        "{ objective: { name: group-dro, adjustment: held-out } }",
        /“train.proxy.evaluateEvery” must be given for an adjustment that is held-out/,
      ],
    ])("refuses %s", (settings, message) => {
      expect(() => proxy(settings)).toThrow(message);
    });

    it("refuses stale parts of a batch where the weights follow from the losses of the whole, before anything is trained", () => {
      const stale = "batchSize: 16, microBatch: 4, accumulation: stale";
      const train = (objective: string) =>
        parsePipeline(
          `${HEAD}data: { files: "x/{domain}/*" }\ntrain: { ${stale}, proxy: { objective: ${objective} } }\n`,
          "p.yaml",
        );
      expect(train("{ preset: official }").train.accumulation).toBe("stale");
      expect(() => train("kl")).toThrow(/“train.accumulation” must be exact for the objective kl, .* found "stale"/);
    });
  });

  it.each([
    [
      "an unknown key, with its line and a suggestion",
      `${HEAD}data:\n  fils: a\n`,
      "unknown-key",
      6,
      /“data.fils”; did you mean “files”\?/,
    ],
    [
      "an unknown key inside a choice of tables",
      `${HEAD}data:\n  files: a\n  heldOut:\n    fraktion: 0.1\n`,
      "unknown-key",
      8,
      /did you mean “fraction”\?/,
    ],
    [
      "an unknown top-level key",
      `${HEAD}data: { files: a }\nseeed: 3\n`,
      "unknown-key",
      6,
      /“seeed”; did you mean “seed”\?/,
    ],
    [
      "a value out of range",
      `${HEAD}data:\n  files: a\ntrain:\n  proxy:\n    eta: -1\n`,
      "bad-setting",
      9,
      /“train.proxy.eta” must be >0, found -1/,
    ],
    [
      "a word where a number belongs",
      `${HEAD}data:\n  files: a\nresample:\n  budgetTokens: lots\n`,
      "bad-setting",
      8,
      /“resample.budgetTokens” must be "auto" or number, found "lots"/,
    ],
    [
      "a choice that there is not",
      `${HEAD}data:\n  files: a\n  onBadShard: ignore\n`,
      "bad-setting",
      7,
      /must be "fail" or "skip", found "ignore"/,
    ],
    [
      "heads that do not divide the width, with those that do",
      `${HEAD}data:\n  files: a\ntrain:\n  model:\n    width: 30\n    heads: 4\n`,
      "bad-setting",
      10,
      /“train.model.heads” must divide width 30, found 4; use [35] heads/,
    ],
    [
      "a width that the heads' default does not divide, with the line of its table",
      `${HEAD}data:\n  files: a\ntrain:\n  model:\n    width: 30\n`,
      "bad-setting",
      8,
      /“train.model.heads” must divide width 30, found 4; use [35] heads/,
    ],
    [
      "sizes that there are not",
      `${HEAD}data:\n  files: a\ntrain:\n  model: { preset: 280m }\n`,
      "bad-setting",
      8,
      /“train.model.preset” must be "1M" or .* or "1B", found "280m"/,
    ],
    [
      "a setting of another architecture",
      `${HEAD}data:\n  files: a\ntrain:\n  model: { architecture: llama, activation: gelu }\n`,
      "bad-setting",
      8,
      /“train.model.activation” must be left out of a llama, found "gelu"/,
    ],
    [
      "exponential decay to nothing",
      `${HEAD}data:\n  files: a\ntrain:\n  optimizer:\n    finalLearningRate: 0\n`,
      "bad-setting",
      9,
      /“train.optimizer.finalLearningRate” must be > 0 for exponential decay, found 0/,
    ],
    [
      "a beta of 1",
      `${HEAD}data:\n  files: a\ntrain:\n  optimizer: { beta1: 1 }\n`,
      "bad-setting",
      8,
      /“train.optimizer.beta1” must be <1, found 1/,
    ],
    [
      "a number that is 0 in 32 bits",
      `${HEAD}data:\n  files: a\ntrain:\n  optimizer: { epsilon: 1.0e-60 }\n`,
      "bad-setting",
      8,
      /“train.optimizer.epsilon” must be > 0 as a 32-bit float, found 1e-60/,
    ],
    [
      "numbers that are none, as such",
      `${HEAD}data:\n  files: a\ntrain:\n  optimizer: { learningRate: .nan }\n`,
      "bad-setting",
      8,
      /“train.optimizer.learningRate” must be number, found NaN$/,
    ],
    [
      "infinity, as such",
      `${HEAD}data:\n  files: a\nresample:\n  maxEpochs: .inf\n`,
      "bad-setting",
      8,
      /“resample.maxEpochs” .*, found Infinity$/,
    ],
    [
      "a word that is nearly a method, with the method",
      `${HEAD}data:\n  files: a\ntrain:\n  reference: { weights: natrual }\n`,
      "bad-setting",
      8,
      /“train.reference.weights” must be .*, found "natrual"; did you mean “natural”\?$/,
    ],
    [
      "a preset in small letters, with the preset",
      `${HEAD}data:\n  files: a\ntrain:\n  model: { preset: 1m }\n`,
      "bad-setting",
      8,
      /found "1m"; did you mean “1M”\?$/,
    ],
    [
      "an accumulation without parts",
      `${HEAD}data:\n  files: a\ntrain:\n  accumulation: stale\n`,
      "bad-setting",
      8,
      /“train.accumulation” must be left out without microBatch.*, found "stale"$/,
    ],
    [
      "a learning rate that would rise",
      `${HEAD}data:\n  files: a\ntrain:\n  optimizer:\n    learningRate: 0.00005\n    finalLearningRate: 0.0001\n`,
      "bad-setting",
      10,
      /“train.optimizer.finalLearningRate” must be at most learningRate 0.00005.*, found 0.0001$/,
    ],
    ["broken YAML", "version: 1\na: [", "bad-yaml", 2, /valid YAML/],
    ["a key twice", `${HEAD}name: b\n`, "bad-yaml", 5, /unique/],
    ["a list", "- 1\n", "bad-yaml", 1, /table of settings/],
  ])("refuses %s", (_what, text, code, line, message) => {
    const error = fault(text);
    expect(error).toMatchObject({ code, line, file: "p.yaml", exitStatus: 78 });
    expect(error.message).toMatch(message);
  });

  it("takes a model's sizes from a preset, and what stands beside it instead", () => {
    const model = (lines: string) =>
      parsePipeline(`${HEAD}data:\n  files: a\ntrain:\n  model: ${lines}\n`, "x.yaml").train.model;
    expect(model("{ preset: 280M }")).toEqual({
      architecture: "gpt2",
      layers: 12,
      width: 768,
      heads: 12,
      sequenceLength: 1024,
    });
    expect(model("{ preset: 510M, architecture: llama, keyValueHeads: 4, innerWidth: 2816, tied: false }")).toEqual({
      architecture: "llama",
      layers: 12,
      width: 1024,
      heads: 16,
      keyValueHeads: 4,
      innerWidth: 2816,
      sequenceLength: 1024,
      tied: false,
    });
    expect(model("{ layers: 2 }")).toEqual({
      architecture: "gpt2",
      layers: 2,
      width: 256,
      heads: 4,
      sequenceLength: 256,
    });
  });

  it("names every fault by its line, an unknown key first, and of many the first ten", () => {
    const faults = fault(`${HEAD}seed: -1\ndata: { files: a, fils: b }\ntrain:\n  batchSize: 0\n`);
    expect(faults).toMatchObject({ code: "unknown-key", line: 6 });
    expect(faults.message.split("\n")).toEqual([
      "p.yaml:6: unknown key “data.fils”; did you mean “files”?",
      expect.stringMatching(/^p\.yaml:5: “seed” must be .*, found -1$/),
      expect.stringMatching(/^p\.yaml:8: “train\.batchSize” must be .*, found 0$/),
    ]);
    const keys = Array.from({ length: 12 }, (_, i) => `key${i}: 1\n`).join("");
    const many = fault(`${HEAD}data: { files: a }\n${keys}`).message.split("\n");
    expect([many.length, many.at(-1)]).toEqual([11, "and 2 more"]);
  });

  it("names a missing setting", () => {
    expect(fault("version: 1\nname: a\noutput: x\ndata: { files: a }\n").message).toMatch(/needs “tokenizer”/);
  });

  it("bounds YAML aliases", () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${"*a,".repeat(10)}]\nc: &c [${"*b,".repeat(10)}]\nd: [${"*c,".repeat(10)}]\n`;
    expect(fault(bomb).message).toMatch(/alias/i);
  });

  it("reads sizes", () => {
    expect(parseBytes("512MB")).toBe(512e6);
    expect(parseBytes("1.5 GiB")).toBe(1.5 * 2 ** 30);
    expect(parseBytes("100")).toBe(100);
  });

  it("knows the keys of the optimizer that is named, and says which there are", () => {
    const optimizer = (lines: string) => `${HEAD}data: { files: a }\ntrain: { optimizer: ${lines} }\n`;
    expect(fault(optimizer("{ name: adafactor, beta2: 0.99 }")).message).toMatch(
      /unknown key “train.optimizer.beta2”; did you mean “beta1”/,
    );
    expect(fault(optimizer("{ decayRate: 0.8 }")).message).toMatch(/unknown key “train.optimizer.decayRate”/);
    expect(fault(optimizer("{ name: sgd }")).message).toMatch(
      /“train.optimizer.name” must be "adamw" or "adafactor", found "sgd"/,
    );
    expect(parsePipeline(optimizer("{ name: adafactor }"), "p.yaml").train.optimizer).toMatchObject({
      decayRate: 0.8,
      clipThreshold: 1,
      beta1: null,
    });
  });
});

describe("a pipeline that names code", () => {
  const data = { files: "x/{domain}/*" };
  const made = (more: object, options: LoadOptions) =>
    definePipeline({ version: 1, name: "a", output: "out", tokenizer: "r50k", data, ...more }, options);
  const named = [
    ["data.transform", { data: { ...data, transform: "./drop.mjs" } }, "./drop.mjs"],
    ["stages", { stages: [{ module: "./report.mjs", after: "count" }] }, "./report.mjs"],
  ] as const;

  it.each(named)("in %s is refused where plug-ins are, and taken where not", (setting, more, module) => {
    expect(made(more, { plugins: true }).config).toBeDefined();
    expect(() => made(more, { plugins: false })).toThrow(
      expect.objectContaining({
        kind: "bad-configuration",
        code: "plugins-refused",
        message: expect.stringMatching(new RegExp(`“${setting}”.*${module}.*--no-plugins`)),
      }),
    );
  });

  it("and no other is refused", () => {
    expect(made({}, { plugins: false }).config.stages).toEqual([]);
  });

  it("is refused by every command that loads a pipeline file, before the module is loaded", async () => {
    const folder = await mkdtemp(join(tmpdir(), "doremi-plugins-"));
    const path = join(folder, "p.yaml");
    const module = join(folder, "run.mjs");
    await writeFile(module, `import { writeFileSync } from "node:fs"; writeFileSync("${folder}/was-run", "");`);
    await writeFile(path, `${HEAD}data:\n  files: "x/{domain}/*"\n  transform: ./run.mjs\n`);
    const commands = buildProgram(() => {}).commands.filter((command) =>
      command.registeredArguments.some((argument) => argument.name().includes("pipeline.yaml")),
    );
    expect(commands.map((command) => command.name()).sort()).toEqual(
      ["count", "evaluate", "plan", "resample", "run", "train", "weights"].sort(),
    );
    for (const command of commands) {
      const flag = command.options.find((option) => option.long === "--no-plugins");
      expect(flag, command.name()).toBeDefined();
    }
    await expect(openPipeline(path, { plugins: false })).rejects.toMatchObject({
      code: "plugins-refused",
      file: path,
      line: 7,
    });
    await expect(weigh(path, { plugins: false })).rejects.toMatchObject({ code: "plugins-refused" });
    expect(existsSync(join(folder, "was-run"))).toBe(false);
    await rm(folder, { recursive: true });
  });
});
