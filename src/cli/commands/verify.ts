/** `doremi verify`: every claim of a manifest recomputed from the files themselves. */
import { Command } from "commander";
import { EXIT_STATUS } from "../../lib/errors.ts";
import { formatInteger, plural } from "../numbers.ts";
import { addCommonOptions, addExample, positiveInteger } from "../options.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";
import { printable } from "../table.ts";

interface VerifyCommandOptions extends CommonOptions {
  readonly root?: string;
  readonly workers?: number;
  readonly followLinks?: boolean;
  readonly tokenizer?: string;
  readonly allowTransform?: boolean;
}

/** What is printed of a verification. */
export interface Verdict {
  readonly ok: boolean;
  readonly problems: readonly {
    readonly code: string;
    readonly message: string;
    readonly file?: string;
    readonly domain?: string;
  }[];
  /** problems found beyond those listed */
  readonly omitted: number;
}

export function verifyCommand(setStatus: SetStatus): Command {
  const command = new Command("verify")
    .description("Recompute everything that a manifest claims from the files themselves, and name each disagreement.")
    .argument("<manifest.json>", "the manifest")
    .option("--root <folder>", "folder that the manifest's paths start from, if the files were moved")
    .option("-w, --workers <n>", "worker threads (default: all cores)", positiveInteger)
    .option("--tokenizer <file>", "tokenizer.json to count with, if the manifest was moved away from its own")
    .option("--follow-links", "allow symbolic links that lead out of the root")
    .option("--allow-transform", "run the transform module that the manifest names, which is code");
  addCommonOptions(command);
  addExample(command, "doremi verify pipelines/runs/quickstart/resample/manifest.json");
  return command.action(async (path: string, options: VerifyCommandOptions) => {
    const session = new Session("verify", options);
    const status = await session.finish(async () => {
      const { verify } = await import("../../pipeline/verify.ts");
      const { root, workers, followLinks, tokenizer, allowTransform } = options;
      const { ok, problems, omitted } = await verify(path, {
        ...(root !== undefined && { root }),
        ...(workers !== undefined && { workers }),
        ...(followLinks !== undefined && { followLinks }),
        ...(tokenizer !== undefined && { tokenizer }),
        ...(allowTransform !== undefined && { allowTransform }),
        signal: session.signal,
        onEvent: session.onEvent,
      });
      session.summarise(verdictLines({ ok, problems, omitted }, path), { ok, problems: problems.length + omitted });
      return { result: { ok, problems, ...(omitted > 0 && { omitted }) }, status: ok ? 0 : EXIT_STATUS["bad-data"] };
    });
    setStatus(status);
  });
}

export function verdictLines({ ok, problems, omitted }: Verdict, path: string): string[] {
  if (ok) return [`✓ ${printable(path)}: all that it claims agrees with the files`];
  return [
    `✗ ${printable(path)}: ${plural(problems.length + omitted, "disagreement")} with the files`,
    ...problems.map(({ code, message }) => `  ${code}: ${printable(message)}`),
    ...(omitted > 0 ? [`  and ${formatInteger(omitted)} more`] : []),
  ];
}
