// Compiles the tokenizer's AssemblyScript to src/tokenizer/counter.wasm, and copies it beside the compiled JavaScript,
// so that `new URL("./counter.wasm", import.meta.url)` finds it from the source and from dist alike. With --check it
// writes nothing, and fails unless counter.wasm is what the sources compile to.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const built = join(root, "src/tokenizer/counter.wasm");
const copy = join(root, "dist/tokenizer/counter.wasm");

let binary;
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
  {
    writeFile: (name, contents) => {
      if (name.endsWith(".wasm")) binary = contents;
    },
  },
);
if (compiled.error) {
  console.error(`${compiled.stderr.toString()}${compiled.error.message}`);
  process.exit(1);
}
if (process.argv.includes("--check")) {
  if ((await readFile(built)).equals(binary)) process.exit();
  console.error(`${built}: is not what src/tokenizer/assembly compiles to; run \`node scripts/build-wasm.mjs\``);
  process.exit(1);
}
await writeFile(built, binary);
await mkdir(dirname(copy), { recursive: true });
await copyFile(built, copy);
