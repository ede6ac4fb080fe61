/** `doremi doctor`: what this machine can do, and what is missing. */
import { Command } from "commander";
import { EXIT_STATUS } from "../../lib/errors.ts";
import { addCommonOptions, addExample } from "../options.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";

interface DoctorCommandOptions extends CommonOptions {
  readonly output: string;
  readonly tokenizer?: readonly string[];
  readonly quick?: boolean;
}

export function doctorCommand(setStatus: SetStatus): Command {
  const command = new Command("doctor")
    .description(
      "Tell what this machine can do: processors, memory, disk, engines and their speed, tokenizers, credentials by name. Changes nothing.",
    )
    .option("-o, --output <folder>", "where results would go", ".")
    .option("--tokenizer <name|file...>", "open these too, and time them")
    .option("--quick", "find out what works, and measure nothing");
  addCommonOptions(command);
  addExample(
    command,
    "doremi doctor --output runs",
    "doremi doctor --tokenizer mine/tokenizer.json --output /scratch/runs --quick",
  );
  return command.action(async ({ output, tokenizer, quick, ...common }: DoctorCommandOptions) => {
    const session = new Session("doctor", common, "text");
    const status = await session.finish(async () => {
      const { diagnose } = await import("../../pipeline/doctor.ts");
      const { doctorLines } = await import("../doctor-text.ts");
      const diagnosis = await diagnose({
        folder: output,
        ...(tokenizer && { tokenizers: tokenizer }),
        ...(quick && { quick }),
        signal: session.signal,
      });
      session.summarise(doctorLines(diagnosis));
      const isFit = diagnosis.problems.length === 0;
      return { result: { ok: isFit, ...diagnosis }, status: isFit ? 0 : EXIT_STATUS["bad-configuration"] };
    });
    setStatus(status);
  });
}
