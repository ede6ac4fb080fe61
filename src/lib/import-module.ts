/**
 * Modules of the user's, imported by what is in them: Node keeps a module under its address for as long as the process
 * lives, so an edited one would run as it was when it was first imported.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
/** sha256 that each path was last imported with */
const imported = new Map<string, string>();

/**
 * The module's exports. Modules that it imports in turn are kept by their address as ever.
 *
 * @param path absolute  @param sha256 of the file's content
 */
export async function importModule(path: string, sha256: string): Promise<{ readonly default?: unknown }> {
  const before = imported.get(path);
  // A CommonJS module is kept by its path, whatever the address says.
  if (before !== undefined && before !== sha256) delete require.cache[path];
  imported.set(path, sha256);
  const url = pathToFileURL(path);
  url.searchParams.set("sha256", sha256);
  return import(url.href);
}
