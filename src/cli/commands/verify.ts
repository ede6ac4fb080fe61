/** `doremi verify`: every claim of a manifest recomputed from the files themselves. */
import { Command, InvalidArgumentError } from "commander";
import { DoremiError, EXIT_STATUS } from "../../lib/errors.ts";
import type { VerifyResult } from "../../manifest/verify.ts";
import { formatInteger, plural } from "../numbers.ts";
import { addCommonOptions, addExample, parseShare, positiveInteger } from "../options.ts";
import { manifestPath } from "../paths.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";
import { printable } from "../table.ts";

interface VerifyCommandOptions extends CommonOptions {
  readonly root?: string;
  readonly workers?: number;
  readonly followLinks?: boolean;
  readonly tokenizer?: string;
  readonly allowTransform?: boolean;
  readonly sample?: number;
  readonly sampleSeed?: number;
  readonly strict?: boolean;
}

export function verifyCommand(setStatus: SetStatus): Command {
  const command = new Command("verify")
    .description("Recompute everything that a manifest claims from the files themselves, and name each disagreement.")
    .argument("<manifest.json>", "the manifest, or the output folder of the run that wrote it")
    .option("--root <folder>", "folder that the manifest's paths start from, if the files were moved")
    .option("-w, --workers <n>", "worker threads (default: all cores)", positiveInteger)
    .option("--sample <share>", "hash and count this share of the files only, such as 5% or 0.05", partOfFiles)
    .option("--sample-seed <n>", "another number, other files of the sample (default: the manifest's seed)", seed)
    .option("--strict", "refuse files that lie among the manifest's and that it does not name")
    .option("--tokenizer <file>", "tokenizer.json to count with, if the manifest was moved away from its own")
    .option("--follow-links", "allow symbolic links that lead out of the root")
    .option("--allow-transform", "run the transform module that the manifest names, which is code");
  addCommonOptions(command);
  addExample(
    command,
    "doremi verify runs/quickstart",
    "doremi verify /mnt/copy/manifest.json --root /mnt/copy/data --sample 0.05",
  );
  return command.action(async (given: string, options: VerifyCommandOptions) => {
    const session = new Session("verify", options);
    const status = await session.finish(async () => {
      const path = await manifestPath(given);
      const { verify } = await import("../../pipeline/verify.ts");
      const { root, workers, followLinks, tokenizer, allowTransform, sample, sampleSeed, strict } = options;
      if (sampleSeed !== undefined && sample === undefined) {
        throw new DoremiError("usage", "bad-sample", "--sample-seed: chooses the files of a --sample; give that too");
      }
      const verdict = await verify(path, {
        ...(root !== undefined && { root }),
        ...(workers !== undefined && { workers }),
        ...(followLinks !== undefined && { followLinks }),
        ...(tokenizer !== undefined && { tokenizer }),
        ...(allowTransform !== undefined && { allowTransform }),
        ...(sample !== undefined && {
          sample: { share: sample, ...(sampleSeed !== undefined && { seed: sampleSeed }) },
        }),
        ...(strict !== undefined && { strict }),
        signal: session.signal,
        onEvent: session.onEvent,
      });
      const { ok, problems, omitted, notes, checked } = verdict;
      session.summarise(verdictLines(verdict, path), { ok, problems: problems.length + omitted });
      return {
        result: { ok, problems, ...(omitted > 0 && { omitted }), ...(notes.length > 0 && { notes }), checked },
        status: ok ? 0 : EXIT_STATUS["bad-data"],
      };
    });
    setStatus(status);
  });
}

export function verdictLines({ ok, problems, omitted, notes, checked }: VerifyResult, path: string): string[] {
  const { sample, files, notChecked } = checked;
  const found = plural(problems.length + omitted, "disagreement");
  return [
    ok
      ? `✓ ${printable(path)}: all that ${sample ? "was checked" : "it claims"} agrees with the files`
      : `✗ ${printable(path)}: ${found} with the files`,
    ...problems.map(({ code, message }) => `  ${code}: ${printable(message)}`),
    ...(omitted > 0 ? [`  and ${formatInteger(omitted)} more`] : []),
    ...notes.map(({ code, message }) => `  note, ${code}: ${printable(message)}`),
    ...(sample ? [`Checked ${formatInteger(files.counted)} of ${plural(files.total, "file")}. Not checked:`] : []),
    ...(sample ? notChecked.map((claim) => `  ${printable(claim)}`) : []),
  ];
}

function partOfFiles(text: string): number {
  const value = parseShare(text);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError("It must be a share above 0 and below 1, such as 5% or 0.05.");
}

function seed(text: string): number {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 0 up.");
}
