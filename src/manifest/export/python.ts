/** Text of Python modules that carry their settings as literals. JSON's strings and numbers are Python's. */

export function pythonModule(doc: string, body: string): string {
  return `"""${doc}"""\n\n${body}`;
}

/** Flat objects as a list of dicts, one a line. Lists of strings are the only nesting, and there is no null. */
export function pythonList(rows: readonly object[]): string {
  return `[\n${rows.map((row) => `    ${JSON.stringify(row)},\n`).join("")}]`;
}
