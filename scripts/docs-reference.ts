/**
 * Writes docs/reference from the code: commands from commander, the pipeline file from its schema, errors from their
 * table, the API from the built declarations (build first). With --check it only says whether the files are current (exit 1
 * where not).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { buildProgram } from "../src/cli/program.ts";
import { ERROR_CODES } from "../src/lib/error-codes.ts";
import { type ErrorKind, EXIT_STATUS } from "../src/lib/errors.ts";
import { pipelineSchema } from "../src/pipeline/schema.ts";

const ROOT = join(import.meta.dirname, "..");
const GENERATED = "<!-- Written by `npm run docs:reference`; change the code, not this file. -->";

/** Every command with its help, as the program prints it. */
function commands(): string {
  const program = buildProgram(() => {});
  const section = (command: Command, title: string): string[] => {
    let help = "";
    command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 100 }).outputHelp();
    return [`## ${title}`, "", "```text", help.trimEnd(), "```", ""];
  };
  return page("Commands", [
    "What `doremi help COMMAND` prints. Each command writes one line of JSON to stdout.",
    "",
    ...program.commands.flatMap((command) => section(command, `doremi ${command.name()}`)),
  ]);
}

interface Node {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
}

/** Every setting: a section for each table of the file, a row for each key of it. */
function pipelineFile(): string {
  const schema = z.toJSONSchema(pipelineSchema, { io: "input", target: "draft-7" }) as Node;
  const lines: string[] = [];
  const table = (path: string, node: Node, kind = ""): void => {
    const entries = Object.entries(node.properties ?? {}).filter(([key]) => key !== "$schema");
    lines.push(`## ${path === "" ? "The file" : `${path}${kind}`}`, "");
    if (path !== "" && node.description) lines.push(inline(node.description), "");
    lines.push("| setting | value | default | |", "| --- | --- | --- | --- |");
    for (const [key, value] of entries) {
      const isRequired = node.required?.includes(key) && value.default === undefined;
      const usual = isRequired ? "needed" : value.default === undefined ? "" : code(JSON.stringify(value.default));
      lines.push(
        `| ${code(key)} | ${cell(typeOf(value))} | ${cell(usual)} | ${cell(inline(value.description ?? ""))} |`,
      );
    }
    lines.push("");
    for (const [key, value] of entries) descend(path === "" ? key : `${path}.${key}`, value);
  };
  const descend = (path: string, node: Node): void => {
    if (node.properties) table(path, node);
    const kinds = [...(node.anyOf ?? []), ...(node.oneOf ?? [])];
    for (const kind of kinds) {
      if (kind.properties) table(path, { description: node.description ?? "", ...kind }, kindOf(kind));
      else if (kind.anyOf ?? kind.oneOf) descend(path, { description: node.description ?? "", ...kind });
    }
    if (node.items?.properties) table(`${path}[]`, node.items);
  };
  table("", schema);
  return page("The pipeline file", [
    "Every key of a pipeline file. Paths in it are relative to the file's folder.",
    "",
    ...distinct(lines),
  ]);
}

/** A table that comes in two places of a union is told once. */
function distinct(lines: readonly string[]): string[] {
  const sections = lines.join("\n").split(/\n(?=## )/);
  return [...new Set(sections.map((section) => section.trimEnd()))].flatMap((section) => [section, ""]);
}

function kindOf({ properties = {} }: Node): string {
  const named = Object.entries(properties).find(([, value]) => value.const !== undefined);
  if (named) return `, ${named[0]} ${named[1].const}`;
  return `, with ${Object.keys(properties).slice(0, 3).join(", ")}`;
}

function typeOf(node: Node): string {
  if (node.const !== undefined) return code(JSON.stringify(node.const));
  if (node.enum) return node.enum.map((value) => code(String(value))).join(", ");
  const kinds = [...(node.anyOf ?? []), ...(node.oneOf ?? [])];
  if (kinds.length > 0) return [...new Set(kinds.map(typeOf))].join(" or ");
  if (node.type === "array") return `list of ${node.items ? typeOf(node.items) : "values"}`;
  if (node.type === "object") return "table";
  return (
    { integer: "whole number", number: "number", string: "text", boolean: "true or false" }[String(node.type)] ??
    String(node.type ?? "any")
  );
}

/** Every code by its kind, with what it means and what to do. */
function errors(): string {
  const kinds = Object.entries(ERROR_CODES).map(([kind, codes]) => ({
    kind,
    status: EXIT_STATUS[kind as ErrorKind],
    rows: Object.entries(codes).map(([name, meaning]) => `| ${code(name)} | ${marked(meaning)} |`),
  }));
  return page("Errors", [
    "A command that fails ends its result line with `error`: a `code` of these and a message that says who, the rule, what",
    "was found and what to do. The exit status follows from the kind. A signal gives 130 (SIGINT) or 143 (SIGTERM).",
    "",
    "| kind | exit status |",
    "| --- | --- |",
    ...kinds.map(({ kind, status }) => `| [${kind}](#${kind}) | ${status} |`),
    "",
    ...kinds.flatMap(({ kind, status, rows }) => [
      `## ${kind}`,
      "",
      `Exit status ${status}.`,
      "",
      "| code | what it means, and what to do |",
      "| --- | --- |",
      ...rows,
      "",
    ]),
  ]);
}

/** What src/index.ts exports: the built declarations with their comments. */
function api(): string {
  const index = readFileSync(join(ROOT, "src", "index.ts"), "utf8");
  const lines: string[] = [];
  const clause = /^\/\/ (.+)$|^export (?:type )?\{([^}]*)\} from "\.\/([^"]+)\.ts";/gm;
  for (const [, heading, names, module] of index.matchAll(clause)) {
    if (heading) lines.push(`## ${heading}`, "");
    else
      for (const name of names!
        .split(",")
        .map((text) => text.trim().replace(/^type /, ""))
        .filter((text) => text !== ""))
        lines.push(`### ${name}`, "", "```ts", declaration(name, `dist/${module}.d.ts`), "```", "");
  }
  return page("The library", ['What `import { … } from "doremi"` gives, as it is declared.', "", ...lines]);
}

/** The declaration and the comment before it, from top level to top level. */
function declaration(name: string, file: string): string {
  const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
  const isTop = (line: string) => /^(export|declare|import|interface|type|const|\/\*\*)/.test(line);
  const start = lines.findIndex((line) =>
    new RegExp(`^export (declare )?(abstract )?(async )?(function\\*?|class|interface|type|const) ${name}\\b`).test(
      line,
    ),
  );
  if (start < 0) {
    const from = lines.join("\n").matchAll(/^export (?:type )?\{([^}]*)\} from "(\.[^"]+)\.[jt]s";/gm);
    for (const [, names, module] of from)
      if (new RegExp(`\\b${name}\\b`).test(names!)) return declaration(name, join(dirname(file), `${module}.d.ts`));
    throw new Error(`${file}: exports no ${name} that this script finds; is it built?`);
  }
  let end = start + 1;
  while (end < lines.length && !isTop(lines[end]!)) end++;
  let first = start;
  if (lines[start - 1]?.trimEnd().endsWith("*/")) while (!lines[--first]!.startsWith("/**"));
  return lines.slice(first, end).join("\n").trimEnd();
}

function page(title: string, lines: readonly string[]): string {
  return `${[`# ${title}`, "", GENERATED, "", ...lines].join("\n").trimEnd()}\n`;
}

const code = (text: string) => (text === "" ? "" : `<code v-pre>${escaped(text)}</code>`);
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
/** Text of a description: nothing in it is markup. */
const inline = (text: string) => (text === "" ? "" : `<span v-pre>${escaped(text)}</span>`);
/** The same, but for code in backticks. */
const marked = (text: string) =>
  text
    .split("`")
    .map((part, index) => (index % 2 === 0 ? inline(part) : code(part)))
    .join("");
const escaped = (text: string) => text.replace(/[&<>*_`[\]]/g, (character) => `&#${character.codePointAt(0)};`);

const pages = { "commands.md": commands, "pipeline-file.md": pipelineFile, "errors.md": errors, "library.md": api };
const isCheck = process.argv.includes("--check");
for (const [name, write] of Object.entries(pages)) {
  const path = join(ROOT, "docs", "reference", name);
  const text = write();
  if (!isCheck) writeFileSync(path, text);
  else if (read(path) !== text) {
    console.error(`docs/reference/${name} is not current; run \`npm run docs:reference\``);
    process.exitCode = 1;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
