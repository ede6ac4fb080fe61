/** evaluate: compares the main models of the candidates with the baseline's and writes the report. Trains nothing. */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { reporter, type Stage } from "../stage.ts";
import { type EvaluateInput, type EvaluateOutput, evaluateInput, evaluateOutput } from "./contract.ts";
import { reportCsv, reportMarkdown } from "./files.ts";
import { report } from "./report.ts";

/** All that the output says. */
export const EVALUATION = "evaluation.json";
export const EVALUATION_TEXT = "evaluation.md";
export const EVALUATION_TABLE = "evaluation.csv";

export const evaluate: Stage<EvaluateInput, EvaluateOutput> = {
  name: "evaluate",
  version: 2,
  reads: [],
  input: evaluateInput,
  output: evaluateOutput,
  async run(input, context) {
    const output = report(input);
    const { note } = reporter(context, "evaluate");
    for (const warning of output.warnings) note(warning);
    await writeFileAtomic(join(context.folder, EVALUATION), `${JSON.stringify(output, null, 2)}\n`);
    await writeFileAtomic(join(context.folder, EVALUATION_TEXT), reportMarkdown(output));
    await writeFileAtomic(join(context.folder, EVALUATION_TABLE), reportCsv(output));
    return output;
  },
};
