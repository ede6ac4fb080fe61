/** `doremi report`: a run as pictures, in one page that opens from the disk, and as SVG files. */
import { Command } from "commander";
import { formatBytes } from "../numbers.ts";
import { addCommonOptions, addExample } from "../options.ts";
import { shownPath } from "../paths.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";

interface ReportCommandOptions extends CommonOptions {
  readonly output?: string;
  readonly svg?: string;
}

export function reportCommand(setStatus: SetStatus): Command {
  const command = new Command("report")
    .description(
      "Write a run's report: one HTML page that needs no network, with its charts, tables and settings, and the charts as " +
        "SVG files. Reads the run's folder and changes nothing of the run; one that goes on or failed can be reported too.",
    )
    .argument("<run>", "the output folder of a run")
    .option("-o, --output <file>", "the page (default: report.html in the run's folder)")
    .option("--svg <folder>", "the charts as SVG files (default: beside the page, in a folder named after it)");
  addCommonOptions(command);
  addExample(command, "doremi report runs/quickstart", "doremi report runs/mine --output mine.html --svg figures");
  return command.action(async (run: string, { output, svg, ...options }: ReportCommandOptions) => {
    const session = new Session("report", options, "text");
    const status = await session.finish(async () => {
      const { writeReport } = await import("../../report/write.ts");
      const report = await writeReport(run, {
        ...(output !== undefined && { output }),
        ...(svg !== undefined && { svg }),
      });
      const { html, bytes, svg: charts, problems } = report;
      session.summarise([
        ...problems.map((problem) => `left out: ${problem}`),
        `report     ${shownPath(html)}  ${formatBytes(bytes)}`,
        ...charts.map((path, i) => `${i === 0 ? "charts   " : "         "}  ${shownPath(path)}`),
      ]);
      return { result: { html, bytes, svg: charts, ...(problems.length > 0 && { problems }) } };
    });
    setStatus(status);
  });
}
