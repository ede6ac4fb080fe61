/** Before any test: what is tested in WebAssembly is what its sources say. `npm test` builds it first. */
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const SOURCES = join(import.meta.dirname, "../src");

export default function setup(): void {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" });
  const changed = (file: string) => statSync(join(SOURCES, file)).mtimeMs;
  for (const folder of files.filter((file) => file.endsWith("/assembly"))) {
    const built = files.filter((file) => dirname(file) === dirname(folder) && file.endsWith(".wasm"));
    const oldest = built.length === 0 ? 0 : Math.min(...built.map(changed));
    const later = files.find((file) => file.startsWith(`${folder}/`) && file.endsWith(".ts") && changed(file) > oldest);
    if (later !== undefined) throw new Error(`src/${later}: is newer than what was built of it; run \`npm run build\``);
  }
}
