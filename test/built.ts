/** What was built, and is tested, has to be what the sources say. `npm test` builds first. */
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const SOURCES = join(import.meta.dirname, "../src");
/** what the build writes last */
const BUILT = join(import.meta.dirname, "../dist/tokenizer/counter.wasm");

/** @param all the JavaScript is tested too, and not the WebAssembly alone @throws where a source is newer */
export function refuseStale(all: boolean): void {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" });
  const changed = (file: string) => statSync(join(SOURCES, file)).mtimeMs;
  const refuse = (folder: string, built: number) => {
    const later = files.find((file) => file.startsWith(folder) && file.endsWith(".ts") && changed(file) > built);
    if (later === undefined) return;
    throw new Error(`src/${later}: is newer than what was built of it; run \`npm run build\``);
  };
  for (const folder of files.filter((file) => file.endsWith("/assembly"))) {
    const built = files.filter((file) => dirname(file) === dirname(folder) && file.endsWith(".wasm"));
    refuse(`${folder}/`, built.length === 0 ? 0 : Math.min(...built.map(changed)));
  }
  if (all) refuse("", statSync(BUILT, { throwIfNoEntry: false })?.mtimeMs ?? 0);
}
