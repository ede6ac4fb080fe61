/**
 * Holds the direction of imports inside src/ and forbids cycles between its files, types-only imports included.
 * It looks at relative imports only; what a file takes from npm is no concern of it, and that targets exist is tsc's.
 *
 *     tsx scripts/check-imports.ts [SRC]
 */
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";

/** Parts of src/ from the top down. A part may import any part of a later row, never its own row's neighbours. */
const LAYERS: readonly (readonly string[])[] = [
  ["cli", "index.ts"],
  ["report"],
  ["pipeline"],
  ["stages"],
  ["trainer", "mixture", "manifest", "tokenizer", "formats"],
  ["engine", "storage"],
  ["lib"],
];

/** Imports between neighbours that are allowed all the same. */
const ALLOWED_NEIGHBOURS: Readonly<Record<string, readonly string[]>> = {
  manifest: ["formats", "tokenizer", "mixture"],
  trainer: ["formats", "mixture"],
};

export interface ImportEdge {
  /** Path below src/, with forward slashes. */
  readonly from: string;
  readonly to: string;
  /** 1-based line of the import. */
  readonly line: number;
  /** False for `new URL("./worker.ts", import.meta.url)`, which names a file without loading it. */
  readonly loads: boolean;
}

const FROM_CLAUSE = /^[ \t]*(?:import|export)\b[^;"'`]*?\bfrom\s*["'](\.[^"']*)["']/gm;
const BARE_IMPORT = /^[ \t]*import\s*["'](\.[^"']*)["']/gm;
const IMPORT_CALL = /\bimport\(\s*["'](\.[^"']*)["']/g;
const MODULE_URL = /\bnew URL\(\s*["'](\.[^"']*)["']\s*,\s*import\.meta\.url/g;

/** The relative imports of one file. `file` is its path below src/. */
export function findImports(file: string, source: string): ImportEdge[] {
  const code = blankComments(source);
  const edges: ImportEdge[] = [];
  for (const pattern of [FROM_CLAUSE, BARE_IMPORT, IMPORT_CALL, MODULE_URL]) {
    for (const match of code.matchAll(pattern)) {
      const to = path.posix.normalize(path.posix.join(path.posix.dirname(file), match[1]!));
      const line = code.slice(0, match.index + match[0].length).split("\n").length;
      edges.push({ from: file, to, line, loads: pattern !== MODULE_URL });
    }
  }
  return edges.sort((a, b) => a.line - b.line);
}

/** Comments that open a line become spaces, newlines kept; a comment behind code cannot open with an import. */
function blankComments(source: string): string {
  const blank = (comment: string) => comment.replace(/[^\n]/g, " ");
  return source.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, blank).replace(/^[ \t]*\/\/.*$/gm, blank);
}

/** Why the edge is not allowed, or undefined. */
export function directionFault(edge: ImportEdge): string | undefined {
  // package.json lies beside src/ and dist/ alike, so reading it works from both; loading it would move dist/'s root.
  if (edge.to === "../package.json" && !edge.loads) return undefined;
  if (edge.to.startsWith("../")) return "src/ imports nothing outside src/";
  const [from, to] = [partOf(edge.from), partOf(edge.to)];
  const [fromLayer, toLayer] = [layerOf(from), layerOf(to)];
  if (fromLayer < 0) return `${from} is no part of src/ that this check knows (scripts/check-imports.ts lists them)`;
  if (toLayer < 0) return `${to} is no part of src/ that this check knows (scripts/check-imports.ts lists them)`;
  if (from === to || fromLayer < toLayer || ALLOWED_NEIGHBOURS[from]?.includes(to)) return undefined;
  if (fromLayer === toLayer) return `${from} must not import its neighbour ${to}`;
  return `${from} lies below ${to} and must not import it`;
}

/** Each cycle as the files along it, the first repeated at the end; one per import that closes a cycle. */
export function findCycles(edges: readonly ImportEdge[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to, loads } of edges) {
    if (loads) targets.set(from, [...(targets.get(from) ?? []), to]);
  }
  const cycles: string[][] = [];
  const trail: string[] = [];
  const left = new Set<string>();
  const visit = (file: string): void => {
    trail.push(file);
    for (const target of new Set(targets.get(file))) {
      const start = trail.indexOf(target);
      if (start >= 0) cycles.push([...trail.slice(start), target]);
      else if (!left.has(target)) visit(target);
    }
    trail.pop();
    left.add(file);
  };
  for (const file of [...targets.keys()].sort()) if (!left.has(file)) visit(file);
  return cycles;
}

/** One line for each violation in the tree below `src`; empty when the rules hold. */
export function checkImports(src: string): { files: number; imports: number; violations: string[] } {
  // assembly/ is AssemblyScript, compiled apart: no TypeScript file can import it.
  const files = readdirSync(src, { recursive: true, encoding: "utf8" })
    .map((file) => file.split(path.sep).join("/"))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts") && !file.split("/").includes("assembly"))
    .sort();
  const edges = files.flatMap((file) => findImports(file, readFileSync(path.join(src, file), "utf8")));
  const faults = edges.flatMap((edge) => {
    const fault = directionFault(edge);
    return fault === undefined ? [] : [`${edge.from}:${edge.line} imports ${edge.to}: ${fault}`];
  });
  const cycles = findCycles(edges).map((files) => `cycle: ${files.join(" → ")}`);
  return { files: files.length, imports: edges.length, violations: [...faults, ...cycles] };
}

function partOf(file: string): string {
  return file.split("/", 1)[0]!;
}

function layerOf(part: string): number {
  return LAYERS.findIndex((layer) => layer.includes(part));
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const src = process.argv[2] ?? path.join(import.meta.dirname, "..", "src");
  const { files, imports, violations } = checkImports(src);
  for (const violation of violations) console.error(violation);
  if (violations.length > 0) {
    console.error(`imports: ${violations.length} violation(s); the direction is`);
    console.error(`  ${LAYERS.map((layer) => layer.join(", ")).join("  →  ")}`);
    process.exitCode = 1;
  } else {
    console.log(`imports: ${imports} in ${files} files, all downward, no cycles`);
  }
}
