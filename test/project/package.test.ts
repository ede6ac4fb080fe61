/**
 * The package as a user gets it: what the tarball holds, and that it works installed in an empty folder.
 * Works on dist/ as `npm run build` left it, and takes the dependencies from the npm registry.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = path.join(import.meta.dirname, "..", "..");
const TARBALL_LIMIT_BYTES = 10_000_000;
const INSTALL_TIMEOUT_MS = 300_000;

interface Counts {
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: Readonly<Record<string, number>>;
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

let work: string;
let packed: Packed;

/** `npm test` hands its own settings down (ignore-scripts for one); a user's shell has none but where packages are. */
function userEnvironment(): NodeJS.ProcessEnv {
  const kept = /^npm_config_(registry|cache|userconfig|cafile|strict_ssl|proxy|https_proxy|noproxy)$/;
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_OPTIONS$|VITEST)/.test(name) || kept.test(name),
  );
  return { ...Object.fromEntries(entries), ONNXRUNTIME_NODE_INSTALL: "skip" };
}

function command(cwd: string, program: string, ...args: string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env: userEnvironment(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 << 20,
  });
  if (error) throw error;
  expect(status, `${program} ${args.join(" ")}\n${stdout}\n${stderr}`).toBe(0);
  return { stdout, stderr };
}

function filesBelow(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"));
}

beforeAll(() => {
  if (!existsSync(path.join(ROOT, "dist/index.js")))
    throw new Error("dist/index.js is missing: run `npm run build` first");
  work = mkdtempSync(path.join(tmpdir(), "doremi-package-"));
  const { stdout } = command(ROOT, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", work);
  packed = JSON.parse(stdout)[0];
});

afterAll(() => {
  if (work) rmSync(work, { recursive: true });
});

describe("the tarball", () => {
  it("holds only what a user needs", () => {
    const expected =
      /^(dist\/.+\.(js|d\.ts|wasm|vocabulary|json)|pipelines\/.+|examples\/.+|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/;
    expect(packed.files.map((file) => file.path).filter((file) => !expected.test(file))).toEqual([]);
    expect(packed.size).toBeLessThan(TARBALL_LIMIT_BYTES);
  });

  it("holds all that a user needs", () => {
    const manifest = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
    const held = new Set(packed.files.map((file) => file.path));
    const entryPoints = [manifest.bin.doremi, manifest.exports["."].types, manifest.exports["."].default];
    const needed = [
      ...entryPoints.map((file: string) => path.posix.normalize(file)),
      ...["package.json", "README.md", "LICENSE", "dist/report/page/page.js"],
      ...filesBelow("pipelines"),
      ...filesBelow("examples"),
      ...filesBelow("src")
        .filter((file) => /(?<!\.d)\.ts$/.test(file) && !/\/(assembly|client)\//.test(file))
        .map((file) => file.replace(/^src/, "dist").replace(/\.ts$/, ".js")),
    ];
    expect(needed.filter((file) => !held.has(file))).toEqual([]);
    // Declarations are those that the entry point leads to: a consumer's compiler, below, finds all that it asks for.
    const declared = [...held].filter((file) => file.endsWith(".d.ts"));
    expect(declared.length).toBeGreaterThan(20);
    expect(declared.length).toBeLessThan(needed.length / 2);
  });

  it("holds no build output without a source", () => {
    const orphans = packed.files
      .map((file) => file.path)
      .filter((file) => file.startsWith("dist/") && /(\.d\.ts|\.js)$/.test(file))
      // The report's page is built of a folder of sources, beside them.
      .filter((file) => file !== "dist/report/page/page.js")
      .filter((file) => !existsSync(path.join(ROOT, file.replace(/^dist/, "src").replace(/(\.d\.ts|\.js)$/, ".ts"))));
    expect(orphans).toEqual([]);
  });
});

describe.each([
  { name: "with install scripts", flags: [] },
  { name: "with --ignore-scripts", flags: ["--ignore-scripts"] },
])("installed in an empty folder $name", ({ flags }) => {
  let home: string;

  beforeAll(() => {
    home = mkdtempSync(path.join(work, "home-"));
    writeFileSync(path.join(home, "package.json"), '{ "name": "user", "private": true }\n');
    const tarball = path.join(work, packed.filename);
    const { stderr } = command(home, "npm", "install", "--no-audit", "--no-fund", ...flags, tarball);
    expect(stderr).not.toMatch(/deprecated|ERESOLVE|EBADENGINE/);
  }, INSTALL_TIMEOUT_MS);

  afterAll(() => rmSync(home, { recursive: true }));

  it("npx doremi --help names the commands", () => {
    const { stdout } = command(home, "npx", "--no-install", "doremi", "--help");
    for (const name of ["run", "plan", "count", "train", "resample", "verify", "inspect"]) {
      expect(stdout).toMatch(new RegExp(`^\\s+${name}\\b`, "m"));
    }
  });

  it("import and types give the whole API", async () => {
    const api = Object.keys(await import(pathToFileURL(path.join(ROOT, "dist/index.js")).href)).sort();
    expect(api).not.toEqual([]);
    const print = 'import("doremi").then((api) => console.log(JSON.stringify(Object.keys(api).sort())))';
    expect(JSON.parse(command(home, "node", "-e", print).stdout)).toEqual(api);

    const use = `import * as doremi from "doremi";\nexport const names: (keyof typeof doremi)[] = ${JSON.stringify(api)};\n`;
    writeFileSync(path.join(home, "use.mts"), use);
    const compile = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "use.mts"];
    command(home, process.execPath, path.join(ROOT, "node_modules/typescript/bin/tsc"), "--ignoreConfig", ...compile);
  });

  it("counts the packaged quickstart data as tiktoken does", () => {
    const quickstart = "node_modules/doremi/pipelines/quickstart";
    const data = `${quickstart}/data/{domain}/part-*`;
    const { stdout } = command(home, "npx", "--no-install", "doremi", "count", "--data", data, "--tokenizer", "r50k");
    const { domains } = JSON.parse(stdout);
    const expected = JSON.parse(readFileSync(path.join(home, quickstart, "counts.json"), "utf8")).domains;
    for (const [domain, { documents, bytes, tokens }] of Object.entries<Counts>(expected)) {
      expect(domains[domain], domain).toMatchObject({ documents, bytes, tokens: { r50k: tokens.r50k } });
    }
    expect(Object.keys(domains).sort()).toEqual(Object.keys(expected).sort());
  });

  it("draws a report without the library of its charts installed", () => {
    const pipeline = "node_modules/doremi/pipelines/quickstart.yaml";
    command(
      home,
      "npx",
      "--no-install",
      "doremi",
      "run",
      pipeline,
      "--until",
      "count",
      "--output",
      "run",
      "--no-cache",
    );
    const { html, svg } = JSON.parse(command(home, "npx", "--no-install", "doremi", "report", "run").stdout);
    expect(readFileSync(html, "utf8")).toContain("factbook");
    expect(svg.map((file: string) => path.basename(file))).toContain("shares.svg");
    expect(existsSync(path.join(home, "node_modules/echarts"))).toBe(false);
  });
});
