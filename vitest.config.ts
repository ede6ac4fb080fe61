import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { defineConfig, type Plugin } from "vitest/config";
import { refuseStale } from "./test/built.ts";

const SOURCES = join(import.meta.dirname, "src");

/**
 * With `--mode built`, as `npm test` runs it after the build, tests import dist/ where they name src/: worker threads
 * then load JavaScript as a user's do, which halves the time of a small run. Without, they run from the sources.
 */
const built: Plugin = {
  name: "doremi-built",
  enforce: "pre",
  configResolved: () => refuseStale(true),
  resolveId(source, importer) {
    if (importer === undefined || !source.startsWith(".")) return null;
    const path = relative(SOURCES, resolve(importer, "..", source));
    if (path.startsWith("..") || !path.endsWith(".ts")) return null;
    const compiled = join(import.meta.dirname, "dist", path.replace(/\.ts$/, ".js"));
    return existsSync(compiled) ? { id: compiled, external: true } : null;
  },
};

/** The WebAssembly is built in either case. */
const sources: Plugin = { name: "doremi-sources", configResolved: () => refuseStale(false) };

export default defineConfig(({ mode }) => ({
  plugins: [mode === "built" ? built : sources],
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
}));
