/** An edited module in a process that lives on, in Node itself: vitest has a loader of its own. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const LOADER = fileURLToPath(new URL("../../src/lib/import-module.ts", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-import-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("importing by content", () => {
  it.each([
    ["mjs", "export default"],
    ["cjs", "module.exports ="],
  ])("gives an edited .%s as it is now, and one that is put back as it was", (ending, exported) => {
    const script = join(folder, "main.mjs");
    writeFileSync(
      script,
      `import { writeFileSync } from "node:fs";
       import { importModule } from ${JSON.stringify(LOADER)};
       const path = ${JSON.stringify(join(folder, `plug in#1.${ending}`))};
       for (const word of ["one", "two", "two", "one"]) {
         writeFileSync(path, ${JSON.stringify(exported)} + " '" + word + "';");
         console.log((await importModule(path, word)).default);
       }`,
    );
    const said = execFileSync(process.execPath, ["--import", "tsx", script], { encoding: "utf8" });
    expect(said.trim().split("\n")).toEqual(["one", "two", "two", "one"]);
  });
});
