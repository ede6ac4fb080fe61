/** `doremi --help` loads little: what a command needs is imported when it runs. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, it } from "vitest";

const SRC = join(import.meta.dirname, "..", "..", "src");
/** Imports that load something: neither of types alone nor deferred. */
const STATIC_IMPORT = /^(?:import|export)\s+(?!type\b)[^;"]*?from\s+"([^"]+)";|^import\s+"([^"]+)";/gm;

it("main.ts reaches no package but commander and string-width before a command runs", () => {
  const files = new Set([join(SRC, "cli", "main.ts")]);
  const packages = new Set<string>();
  for (const file of files) {
    for (const match of readFileSync(file, "utf8").matchAll(STATIC_IMPORT)) {
      const name = (match[1] ?? match[2])!;
      if (!name.startsWith(".")) packages.add(name);
      else files.add(join(dirname(file), name));
    }
  }
  expect([...files].filter((file) => !existsSync(file))).toEqual([]);
  expect([...packages].filter((name) => !name.startsWith("node:")).sort()).toEqual(["commander", "string-width"]);
  // Of other parts only small modules that load nothing themselves.
  const others = [...files].map((file) => relative(SRC, file)).filter((file) => !/^(cli|lib)\//.test(file));
  expect(others.sort()).toEqual(["pipeline/meter.ts", "storage/location.ts"]);
});
