/** The import check names every violation of a tree that was made bad on purpose, and finds none in src/. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { checkImports, findImports } from "../../scripts/check-imports.ts";

const ROOT = path.join(import.meta.dirname, "..", "..");
const trees: string[] = [];

function tree(files: Record<string, string>): string {
  const root = mkdtempSync(path.join(tmpdir(), "doremi-imports-"));
  trees.push(root);
  for (const [file, source] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), source);
  }
  return root;
}

afterEach(() => {
  for (const root of trees.splice(0)) rmSync(root, { recursive: true });
});

describe("direction", () => {
  const allowed: [string, string][] = [
    ["cli/run.ts", "../lib/errors.ts"],
    ["cli/run.ts", "../pipeline/runner.ts"],
    ["index.ts", "./pipeline/runner.ts"],
    ["pipeline/runner.ts", "../stages/count/run.ts"],
    ["stages/count/run.ts", "../../formats/shard.ts"],
    ["stages/proxy/run.ts", "../reference/plan.ts"],
    ["manifest/verify.ts", "../formats/shard.ts"],
    ["manifest/verify.ts", "../tokenizer/tokenizer.ts"],
    ["manifest/write.ts", "../mixture/allocate.ts"],
    ["trainer/loop.ts", "../formats/safetensors.ts"],
    ["trainer/loop.ts", "../mixture/doremi.ts"],
    ["trainer/loop.ts", "../engine/trace.ts"],
    ["formats/shard.ts", "../storage/storage.ts"],
  ];
  it.each(allowed)("%s may import %s", (from, to) => {
    expect(checkImports(tree({ [from]: `import { a } from "${to}";\n` })).violations).toEqual([]);
  });

  it("a file may read package.json, not import it", () => {
    const read = 'new URL("../../package.json", import.meta.url);\n';
    expect(checkImports(tree({ "lib/version.ts": read })).violations).toEqual([]);
    const load = 'import pkg from "../../package.json" with { type: "json" };\n';
    expect(checkImports(tree({ "lib/version.ts": load })).violations).toHaveLength(1);
  });

  const forbidden: [string, string, string][] = [
    ["lib/rng.ts", "../storage/storage.ts", "lib lies below storage and must not import it"],
    ["pipeline/runner.ts", "../cli/run.ts", "pipeline lies below cli and must not import it"],
    ["stages/count/run.ts", "../../index.ts", "stages lies below index.ts and must not import it"],
    ["index.ts", "./cli/run.ts", "index.ts must not import its neighbour cli"],
    ["engine/trace.ts", "../trainer/model.ts", "engine lies below trainer and must not import it"],
    ["storage/local.ts", "../engine/trace.ts", "storage must not import its neighbour engine"],
    ["mixture/doremi.ts", "../formats/weights.ts", "mixture must not import its neighbour formats"],
    ["formats/shard.ts", "../manifest/contract.ts", "formats must not import its neighbour manifest"],
    ["trainer/loop.ts", "../tokenizer/tokenizer.ts", "trainer must not import its neighbour tokenizer"],
    ["manifest/read.ts", "../trainer/contract.ts", "manifest must not import its neighbour trainer"],
    ["lib/rng.ts", "../../test/seed.ts", "src/ imports nothing outside src/"],
    ["cli/run.ts", "../utils/strings.ts", "utils is no part of src/ that this check knows"],
  ];
  it.each(forbidden)("%s may not import %s", (from, to, fault) => {
    const { violations } = checkImports(tree({ [from]: `\nimport { a } from "${to}";\n` }));
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain(`${from}:2 imports ${path.posix.join(path.posix.dirname(from), to)}: ${fault}`);
  });
});

describe("kinds of import", () => {
  it.each([
    ['import { a } from "../cli/x.ts";'],
    ['import type { A } from "../cli/x.ts";'],
    ['import { type A, b } from "../cli/x.ts";'],
    ['import {\n  a,\n  b,\n} from "../cli/x.ts";'],
    ['import * as all from "../cli/x.ts";'],
    ["import all from '../cli/x.ts';"],
    ['import "../cli/x.ts";'],
    ['export { a } from "../cli/x.ts";'],
    ['export * from "../cli/x.ts";'],
    ['export type { A } from "../cli/x.ts";'],
    ['const { a } = await import("../cli/x.ts");'],
    ['type A = import("../cli/x.ts").A;'],
    ['const worker = new URL("../cli/x.ts", import.meta.url);'],
  ])("%s", (source) => {
    expect(findImports("lib/a.ts", source).map((edge) => edge.to)).toEqual(["cli/x.ts"]);
  });

  it("passes over comments, packages and exports of its own", () => {
    const source = `/**
 * import { a } from "../cli/x.ts";
import { b } from "../cli/x.ts";
 */
// import { c } from "../cli/x.ts";
import fs from "node:fs";
import { z } from "zod";
export const from = "../cli/x.ts";
export function f() { return "corpus/**"; }
`;
    expect(findImports("lib/a.ts", source)).toEqual([]);
  });
});

describe("cycles", () => {
  it("names the files along each, through types-only imports too", () => {
    const root = tree({
      "lib/a.ts": 'import { b } from "./b.ts";\n',
      "lib/b.ts": 'import type { C } from "./c.ts";\n',
      "lib/c.ts": 'export * from "./a.ts";\n',
      "mixture/self.ts": 'import { self } from "./self.ts";\n',
    });
    expect(checkImports(root).violations).toEqual([
      "cycle: lib/a.ts → lib/b.ts → lib/c.ts → lib/a.ts",
      "cycle: mixture/self.ts → mixture/self.ts",
    ]);
  });

  it("lets a worker import the file that starts it", () => {
    const root = tree({
      "stages/pool.ts": 'const worker = new URL("./worker.ts", import.meta.url);\n',
      "stages/worker.ts": 'import { a } from "./pool.ts";\n',
    });
    expect(checkImports(root).violations).toEqual([]);
  });
});

describe("as a program", () => {
  const program = ["--import", "tsx", path.join(ROOT, "scripts/check-imports.ts")];

  it("finds nothing to complain of in src/", () => {
    const out = execFileSync(process.execPath, program, { cwd: ROOT, encoding: "utf8" });
    expect(out).toMatch(/^imports: \d+ in \d+ files, all downward, no cycles\n$/);
  });

  it("names every violation and fails", () => {
    const root = tree({
      "lib/a.ts": 'import { b } from "../cli/b.ts";\n',
      "cli/b.ts": 'import { a } from "../lib/a.ts";\n',
    });
    const { status, stderr } = spawnSync(process.execPath, [...program, root], { cwd: ROOT, encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toContain("lib/a.ts:1 imports cli/b.ts: lib lies below cli and must not import it\n");
    expect(stderr).toContain("cycle: cli/b.ts → lib/a.ts → cli/b.ts\n");
    expect(stderr).toContain("2 violation(s)");
  });
});
