/** Faults that a schema finds in settings, in words: the rule that is broken, and of alternatives the likeliest meant. */
import type { z } from "zod";

export type Issue = z.core.$ZodIssue;

/** What a value must be, from the fault that the schema found: “must be …”. */
export function ruleOf(issue: Issue): string {
  if (issue.code === "invalid_value") return oneOf(issue.values);
  // a table whose kind is named by one of its keys
  if (issue.code === "invalid_union" && "options" in issue)
    return oneOf((issue.options as unknown[]).filter((option) => option !== undefined));
  return issue.message
    .replace(/^Invalid input: expected /, "must be ")
    .replace(/^Invalid string: /, "")
    .replace(/, received .*$/, "")
    .replace(/^Too small: expected \S+ to be /, "must be ")
    .replace(/^Too big: expected \S+ to be /, "must be ");
}

function oneOf(values: readonly unknown[]): string {
  return `must be ${values.map((value) => JSON.stringify(value)).join(" or ")}`;
}

/** The words that a value may be, as far as the fault knows them. */
export function wordsOf(issue: Issue): string[] {
  if (issue.code === "invalid_union") return issue.errors.flat().flatMap((branch) => wordsOf(branch as Issue));
  return issue.code === "invalid_value" ? issue.values.filter((word) => typeof word === "string") : [];
}

/** The faults, their paths from the top. A failed union is reported by the branch that got furthest, not as “invalid input”. */
export function flattenIssues(issues: readonly Issue[], value: unknown, at: readonly PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue) => {
    const path = [...at, ...issue.path];
    if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ ...issue, path } as Issue];
    const found = path.reduce<unknown>(
      (node, part) => (node as Record<PropertyKey, unknown> | undefined)?.[part],
      value,
    );
    const structured = typeof found === "object" && found !== null;
    const errors = branchesOf(issue);
    const branches = errors.filter((branch) =>
      branch.every((b) => b.path.length > 0 || b.code === "unrecognized_keys"),
    );
    // Of tables that are of one kind or another by their keys, the kind that knows them all.
    const knowing = branches.find((branch) => branch.every((b) => b.path.length > 0));
    const chosen = structured ? (knowing ?? branches[0]) : undefined;
    if (chosen) return flattenIssues(chosen, value, path);
    const rules = errors.flatMap((branch) => branch.map((b) => ruleOf(b as Issue).replace(/^must be /, "")));
    return [{ ...issue, path, message: `must be ${[...new Set(rules)].join(" or ")}` } as Issue];
  });
}

/** The faults by branch, where a branch is itself a union by those of its own. */
function branchesOf({ errors }: z.core.$ZodIssueInvalidUnion): Issue[][] {
  return errors.flatMap((branch) => {
    const [only, ...others] = branch;
    const nested = only?.code === "invalid_union" && only.path.length === 0 && others.length === 0;
    return nested && only.errors.length > 0 ? branchesOf(only) : [branch];
  });
}
