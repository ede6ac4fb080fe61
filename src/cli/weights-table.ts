/** The table of `doremi weights`: domains down, methods across; below it what each method was and what to mind. */
import { formatFigure, formatInteger } from "./numbers.ts";
import { formatTable, printable } from "./table.ts";
import type { DomainSizes, Weighed } from "./weights-contract.ts";

/** @param budget tokens that epochs are of; null = none is said */
export function weightsLines(weighed: readonly Weighed[], sizes: DomainSizes | null, budget: number | null): string[] {
  const domains = weighed[0]!.domains;
  const tokens = sizes?.tokens;
  const columns = [
    { header: "domain", align: "left" as const },
    ...(tokens ? [{ header: "tokens" }] : []),
    ...weighed.map(({ method }) => ({ header: method })),
  ];
  const rows = domains.map((domain, i) => [
    domain,
    ...(tokens ? [formatInteger(tokens[i]!)] : []),
    ...weighed.map(({ weights }) => weights[i]!.toFixed(4)),
  ]);
  const most = ({ weights }: Weighed) =>
    Math.max(...weights.map((weight, i) => (tokens![i]! > 0 ? (weight * budget!) / tokens![i]! : 0)));
  const foot =
    tokens && budget !== null
      ? [["most epochs", "", ...weighed.map((one) => formatFigure(Number(most(one).toPrecision(3))))]]
      : [];
  const told = weighed.flatMap(({ method, from, notes }) => [
    ...(from === method ? [] : [from.startsWith(method) ? from : `${method}: ${from}`]),
    ...notes.map((note) => `  ${note}`),
  ]);
  return [
    ...formatTable(columns, rows, foot),
    ...(foot.length > 0 ? ["", `Epochs are of ${formatInteger(budget!)} tokens.`] : []),
    ...(told.length > 0 ? ["", ...told.map(printable)] : []),
    ...weighed.flatMap(targetLines),
  ];
}

function targetLines({ regression }: Weighed): string[] {
  if (!regression || regression.targets.length === 0) return [];
  const figures = (values: { spearman: number; r2: number }) => [values.spearman.toFixed(3), values.r2.toFixed(3)];
  const columns = [
    { header: "target", align: "left" as const },
    { header: "Spearman\nin sample" },
    { header: "R²" },
    { header: "Spearman\ncross-val." },
    { header: "R²" },
  ];
  const rows = regression.targets.map(({ target, inSample, crossValidated }) => [
    target,
    ...figures(inSample),
    ...figures(crossValidated),
  ]);
  return ["", ...formatTable(columns, rows)];
}
