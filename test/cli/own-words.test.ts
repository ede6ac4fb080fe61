/** What the program says of itself can be typed as it stands: commands, examples, paths. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { manifestPath, ownCommand } from "../../src/cli/paths.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { temporaryFolder } from "../e2e/small.ts";

it("the command is doremi where there is one on the path, and else what this process was started with", () => {
  const folder = temporaryFolder();
  expect(ownCommand(`/nowhere:${folder}:`, "dist/cli/main.js")).toBe("node dist/cli/main.js");
  writeFileSync(join(folder, "doremi"), "");
  expect(ownCommand(folder, "dist/cli/main.js")).toBe("node dist/cli/main.js");
  chmodSync(join(folder, "doremi"), 0o755);
  expect(ownCommand(`/nowhere:${folder}`, "dist/cli/main.js")).toBe("doremi");
});

it("a run's folder stands for its manifest, and a folder without one is told of", async () => {
  const folder = temporaryFolder();
  await expect(manifestPath(folder)).rejects.toMatchObject({ code: "no-manifest", exitStatus: 66, file: folder });
  mkdirSync(join(folder, "resample"));
  writeFileSync(join(folder, "resample/manifest.json"), "{}");
  expect(await manifestPath(folder)).toBe(join(folder, "resample/manifest.json"));
  for (const path of [join(folder, "resample/manifest.json"), "nowhere.json", "s3://bucket/manifest.json"])
    expect(await manifestPath(path)).toBe(path);
});

const written = (command: ReturnType<typeof buildProgram>) => {
  const parts: string[] = [];
  command.configureOutput({ writeOut: (part) => parts.push(part) }).outputHelp();
  return parts.join("");
};

it("help is as wide as a terminal", () => {
  const program = buildProgram(() => {});
  for (const command of [program, ...program.commands]) {
    const [options = ""] = written(command).split("\nExample:");
    expect(options.split("\n").filter((line) => line.length > 80)).toEqual([]);
  }
});

it("every command has an example; one of the quickstart names what its run writes, and a line that goes on has no prompt", () => {
  for (const command of buildProgram(() => {}).commands) {
    if (command.name() === "help") continue;
    const [, examples = ""] = written(command).split("\nExample:\n");
    const lines = examples.split("\n").filter((line) => line.trim() !== "");
    expect(lines.length, command.name()).toBeGreaterThan(0);
    for (const [i, line] of lines.entries()) expect(line.startsWith("  $ ")).toBe(!lines[i - 1]?.endsWith("\\"));
    for (const [path] of examples.matchAll(/\S*runs\/quickstart\S*/g))
      expect(path).toMatch(/^runs\/quickstart(\/proxy\/weights\.json|\/tensorboard)?$/);
  }
});
