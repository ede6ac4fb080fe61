// Compiles the tokenizer's AssemblyScript to src/tokenizer/counter.wasm, and copies it beside the compiled JavaScript,
// so that `new URL("./counter.wasm", import.meta.url)` finds it from the source and from dist alike.
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const built = join(root, "src/tokenizer/counter.wasm");
const copy = join(root, "dist/tokenizer/counter.wasm");

const compiled = await asc.main(
  [
    "src/tokenizer/assembly/index.ts",
    "--baseDir",
    root,
    "-O3",
    "--noAssert",
    "--runtime",
    "stub",
    "--enable",
    "simd",
    "--enable",
    "bulk-memory",
    "--use",
    "abort=",
    "--outFile",
    "counter.wasm",
  ],
  { writeFile: (name, contents) => (name.endsWith(".wasm") ? writeFile(built, contents) : undefined) },
);
if (compiled.error) {
  console.error(`${compiled.stderr.toString()}${compiled.error.message}`);
  process.exit(1);
}
await mkdir(dirname(copy), { recursive: true });
await copyFile(built, copy);
