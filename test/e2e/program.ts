/** The built program in a process of its own, and a pipeline file for it whose counting can be held up. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CORPUS, TOKENIZER } from "./small.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Ended {
  /** exit status; null where a signal ended it */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  /** the JSON line; empty where there is none */
  readonly result: { readonly error?: { readonly code: string; readonly message: string }; readonly status?: string };
  readonly stderr: string;
}

export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [MAIN, ...args, "--log-format", "json"], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].on("data", (data) => {
      text[stream] += data;
    });
  }
  const ended: Promise<Ended> = once(child, "close").then(([status, signal]) => ({
    ...{ status, signal, stderr: text.stderr },
    result: text.stdout === "" ? {} : JSON.parse(text.stdout),
  }));
  /** Until stderr says so. */
  const said = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(text.stderr)) {
      await Promise.race([once(child.stderr, "data"), ended]);
      if (child.exitCode !== null || child.signalCode !== null) {
        if (pattern.test(text.stderr)) return;
        throw new Error(`ended without saying ${pattern}: ${text.stderr}${text.stdout}`);
      }
    }
  };
  return { child, ended, said };
}

/**
 * A pipeline without training, in a folder.
 * @param code bodies of plug-ins: of a function of `batch` that counting calls, of an asynchronous stage `own` after it
 * @returns paths of its file and of its output
 */
export function pipelineFile(
  folder: string,
  name: string,
  { transform, stage }: { readonly transform?: string; readonly stage?: string } = {},
): { file: string; output: string } {
  const module = join(folder, `${name}.mjs`);
  if (transform !== undefined) {
    writeFileSync(module, `import { existsSync } from "node:fs";\nexport default (batch) => { ${transform} };\n`);
  }
  if (stage !== undefined) {
    const any = "{ parse: (value) => value, safeParse: (data) => ({ success: true, data }) }";
    const own = `{ name: "own", version: 1, input: ${any}, output: ${any}, run: async () => { ${stage} return {}; } }`;
    writeFileSync(join(folder, `${name}-stage.mjs`), `export default ${own};\n`);
  }
  const stages = stage === undefined ? [] : [{ module: `${name}-stage.mjs`, after: "count" }];
  const data = {
    files: join(CORPUS, "folders/{domain}/part-*"),
    heldOut: "none",
    ...(transform !== undefined && { transform: module }),
  };
  const file = join(folder, `${name}.yaml`);
  const output = join(folder, name);
  const pipeline = { version: 1, name, output, seed: 1, workers: 2, tokenizer: TOKENIZER, cache: false, data, stages };
  writeFileSync(
    file,
    JSON.stringify({ ...pipeline, resample: { weights: "uniform", budgetTokens: 60_000, maxEpochs: 4 } }),
  ); // YAML too
  return { file, output };
}

/** For `pipelineFile`: counting waits until the file is there. */
export function waitFor(gate: string): string {
  const sleep = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);";
  return `while (!existsSync(${JSON.stringify(gate)})) ${sleep} return batch;`;
}
