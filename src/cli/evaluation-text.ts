/** The report of an evaluation as text for a person. */
import type { EvaluateOutput } from "../stages/evaluate/contract.ts";
import { reportTables } from "../stages/evaluate/tables.ts";
import { formatTable, printable } from "./table.ts";

/** The tables, what to mind, and last, where the eye is, what it comes to. */
export function evaluationLines(evaluation: EvaluateOutput): string[] {
  const tables = reportTables(evaluation).flatMap(({ title, columns, rows }) => [
    title,
    "",
    ...formatTable(columns, rows),
    "",
  ]);
  const { warnings, comparisons } = evaluation;
  return [
    ...tables,
    ...warnings.map((warning) => `! ${printable(warning)}.`),
    ...(warnings.length > 0 ? [""] : []),
    ...comparisons.map(({ conclusion }) => printable(conclusion)),
  ];
}
