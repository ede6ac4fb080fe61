/** The documentation does what it says: its commands run, and its links lead somewhere. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { refuseDeadLinks } from "../../docs/.vitepress/dead-links.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { ERROR_CODES } from "../../src/lib/error-codes.ts";
import { anchorsOf, type Block, blocksOf, DOCS, linksOf, pages, ROOT, readPage } from "./docs.ts";

const PAGES = pages();
const GUIDES = PAGES.filter((page) => !page.startsWith("reference/"));
const KINDS = /^(run|install|stdout|stderr|fails=\d+|needs=\w+|file=[\w.-]+|)$/;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-docs-"));
  mkdirSync(join(folder, "bin"));
  const program = join(folder, "bin", "doremi");
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, "dist", "cli", "main.js")}" "$@"\n`);
  chmodSync(program, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

function execute(block: Block, cwd: string) {
  const env = { ...process.env, DOREMI: ROOT, PATH: `${join(folder, "bin")}:${process.env.PATH}` };
  return spawnSync("bash", ["-euo", "pipefail", "-c", block.text], { cwd, env, encoding: "utf8" });
}

describe("commands of a page, in order, in a folder of its own", () => {
  const withCommands = GUIDES.filter((page) => blocksOf(readPage(page)).some(({ kind }) => kind === "run"));

  it.each(withCommands)("%s", { timeout: 120_000 }, (page) => {
    const cwd = join(folder, page.replaceAll("/", "-"));
    mkdirSync(cwd);
    let said = { stdout: "", stderr: "" };
    for (const block of blocksOf(readPage(page))) {
      const place = `${page}:${block.line}`;
      expect(block.kind, place).toMatch(KINDS);
      const [what, value = ""] = block.kind.split("=");
      if (what === "file") writeFileSync(join(cwd, value), block.text);
      else if (what === "run" || what === "fails") {
        said = execute(block, cwd);
        expect((said as { status?: number }).status, `${place}\n${said.stderr}`).toBe(Number(value));
      } else if (what === "stdout") {
        // the keys that are shown, of the last result
        const results = said.stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as object);
        expect(results.at(-1), place).toMatchObject(JSON.parse(block.text) as object);
      } else if (what === "stderr") {
        for (const line of block.text.trimEnd().split("\n")) expect(masked(said.stderr), place).toContain(masked(line));
      }
    }
  });
});

const masked = (text: string) => text.replace(/\d[\d,.]*/g, "N");

describe("commands that are not run", () => {
  const shown = ["../README.md", ...GUIDES].flatMap((page) =>
    blocksOf(readFileSync(join(DOCS, page), "utf8"))
      .filter(({ language, kind }) => language === "sh" && (kind.startsWith("needs=") || kind === ""))
      .flatMap(({ text }) => text.replaceAll("\\\n", " ").split("\n"))
      .flatMap((line) => [...line.matchAll(/\bdoremi ([a-z]+)([^'#|]*(?:'[^']*'[^'#|]*)*)/g)])
      .map((match) => [page, match[1]!, match[2]!] as const),
  );

  it.each(shown)("%s: doremi %s%s", (_, name, rest) => {
    const command = buildProgram(() => {}).commands.find((one) => one.name() === name);
    expect(command, `there is no command ${name}`).toBeDefined();
    const known = command!.options.flatMap(({ long, short }) => [long, short]);
    for (const [flag] of rest.matchAll(/(?<=\s)--?[a-z][a-z-]*/g)) expect(known).toContain(flag);
  });
});

it.each(["../README.md", ...PAGES])("links of %s lead to files and headings that are there", (page) => {
  const dead = linksOf(readFileSync(join(DOCS, page), "utf8")).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? join(DOCS, page) : normalize(join(DOCS, dirname(page), path));
    if (!existsSync(target)) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(target, "utf8")).has(anchor);
  });
  expect(dead).toEqual([]);
});

it("the site's own check refuses links to files and headings that were not built", () => {
  const site = join(folder, "site");
  mkdirSync(join(site, "how-to"), { recursive: true });
  writeFileSync(join(site, "index.html"), '<h2 id="here">Here</h2><a href="how-to/a.html#there">a</a>');
  const write = (...links: string[]) =>
    writeFileSync(
      join(site, "how-to", "a.html"),
      `<h2 id="there">There</h2>${links.map((link) => `<a class="x" href="${link}">y</a>`).join("")}`,
    );
  write("../#here", "/index.html", "#there", "https://example.org/none");
  expect(() => refuseDeadLinks(site)).not.toThrow();
  write("../figures.json", "../none.html", "../#none", "#here", "./");
  expect(() => refuseDeadLinks(site)).toThrow(
    "how-to/a.html: ../figures.json\nhow-to/a.html: ../none.html\nhow-to/a.html: ../#none\nhow-to/a.html: #here\nhow-to/a.html: ./",
  );
});

describe("the table of error codes", () => {
  const codes = Object.entries(ERROR_CODES).flatMap(([kind, table]) => Object.keys(table).map((code) => [kind, code]));
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith("error-codes.ts"))
    .map((file) => readFileSync(join(ROOT, "src", file), "utf8"))
    .join("\n");

  it("has each code under every kind that it is made with", () => {
    const kinds = Object.keys(ERROR_CODES).join("|");
    const made = [
      ...[...sources.matchAll(new RegExp(`"(${kinds})",\\s*"([a-z0-9-]+)"`, "g"))].map(([, kind, code]) => [
        kind,
        code,
      ]),
      ...[...sources.matchAll(/(?:badShard|BadLine)\(\s*"([a-z0-9-]+)"/g)].map(([, code]) => ["bad-data", code]),
    ];
    expect(made.length).toBeGreaterThan(200);
    const table: Readonly<Record<string, object>> = ERROR_CODES;
    expect(made.filter(([kind, code]) => !Object.hasOwn(table[kind!]!, code!))).toEqual([]);
  });

  it("has none that nothing makes", () => {
    const commander = readFileSync(join(ROOT, "node_modules", "commander", "lib", "command.js"), "utf8");
    const camel = (code: string) => code.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    const isMade = (code: string) => sources.includes(`"${code}"`) || commander.includes(`'commander.${camel(code)}'`);
    expect(codes.filter(([, code]) => !isMade(code!))).toEqual([]);
  });

  it.each([
    [["help-me"], "unknown-command"],
    [[], "help"],
    [["run"], "missing-argument"],
    [["run", "a.yaml", "b.yaml"], "excess-arguments"],
    [["run", "a.yaml", "--wrokers", "1"], "unknown-option"],
    [["run", "a.yaml", "--workers"], "option-missing-argument"],
    [["run", "a.yaml", "--workers", "none"], "invalid-argument"],
    [["merge", "a"], "missing-mandatory-option-value"],
  ])("has what the parser of arguments says of %j: %s", (args, code) => {
    const run = spawnSync(process.execPath, [join(ROOT, "dist", "cli", "main.js"), ...args], { encoding: "utf8" });
    expect(JSON.parse(run.stdout)).toMatchObject({ error: { code } });
    expect(Object.keys(ERROR_CODES.usage)).toContain(code);
  });
});

it("every page is reached from the first", () => {
  const seen = new Set(["index.md"]);
  for (const page of seen)
    for (const link of linksOf(readPage(page))) {
      const target = normalize(join(dirname(page), link.split("#")[0]!));
      if (PAGES.includes(target)) seen.add(target);
    }
  expect(PAGES.filter((page) => !seen.has(page))).toEqual([]);
});
