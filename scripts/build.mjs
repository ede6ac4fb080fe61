// Builds dist/ from src/: the tokenizer's WebAssembly and vocabularies, the JavaScript and declarations, the report's page, and the
// commands' executable bit. Says nothing when all is well. dist/ is made anew, so that no output outlives its source.
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const node = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: "inherit" });

rmSync(join(root, "dist"), { recursive: true, force: true });
try {
  node("node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--noEmitOnError");
  node("scripts/build-wasm.mjs");
  node("--import", "tsx", "scripts/build-vocabularies.ts");
  node("scripts/build-report.mjs");
} catch (error) {
  // The compiler has said what is wrong on the same terminal.
  process.exit(error.status ?? 1);
}
keepPublicDeclarations(join(root, "dist"));
const { bin = {} } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
for (const command of Object.values(bin)) chmodSync(join(root, command), 0o755);

/** Nobody outside can import what index.d.ts does not lead to. */
function keepPublicDeclarations(dist) {
  const kept = new Set([join(dist, "index.d.ts")]);
  for (const file of kept) {
    for (const [, path] of readFileSync(file, "utf8").matchAll(/\b(?:from|import)\b\s*\(?\s*"(\.[^"]+)\.(?:js|ts)"/g)) {
      kept.add(join(dirname(file), `${path}.d.ts`));
    }
  }
  for (const entry of readdirSync(dist, { recursive: true })) {
    const file = join(dist, entry);
    if (file.endsWith(".d.ts") && !kept.has(file)) rmSync(file);
  }
}
