/** WebAssembly that is compiled from AssemblyScript by the build and lies beside the module that uses it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DoremiError } from "./errors.ts";

/**
 * @param url of the file, from `new URL("./name.wasm", import.meta.url)`
 * @param what it is, in the error's words
 * @throws DoremiError not-built
 */
export function compiledModule(url: URL, what: string): WebAssembly.Module {
  const path = fileURLToPath(url);
  try {
    return new WebAssembly.Module(new Uint8Array(readFileSync(path)));
  } catch (cause) {
    throw new DoremiError(
      "internal",
      "not-built",
      `${path}: the compiled ${what} must be here and can't be read; build it with \`npm run build\`, or reinstall doremi`,
      { file: path, cause },
    );
  }
}
