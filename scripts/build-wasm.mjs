// Compiles the AssemblyScript of the token counter, the JSON Lines scanner, the LZ4 decoder and the optimizers, each to
// one .wasm file beside the TypeScript that uses it, and copies it beside the compiled JavaScript, so that
// `new URL("./counter.wasm", import.meta.url)` finds it from the source and from dist alike.
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Folder with an assembly/ in it, and the file's name. */
const modules = [
  ["tokenizer", "counter.wasm"],
  ["formats/codecs", "lz4.wasm"],
  ["formats/jsonl", "scanner.wasm"],
  ["trainer", "optimizer.wasm"],
];

async function compile(folder, name) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      `src/${folder}/assembly/index.ts`,
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
      name,
    ],
    {
      writeFile: (file, contents) => {
        if (file.endsWith(".wasm")) binary = contents;
      },
    },
  );
  if (!error) return binary;
  console.error(`${stderr.toString()}${error.message}`);
  process.exit(1);
}

for (const [folder, name] of modules) {
  const built = join(root, "src", folder, name);
  await writeFile(built, await compile(folder, name));
  const copy = join(root, "dist", folder, name);
  await mkdir(dirname(copy), { recursive: true });
  await copyFile(built, copy);
}
