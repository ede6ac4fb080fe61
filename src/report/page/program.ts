/** The program that draws the page, as scripts/build-report.mjs makes it of client/, beside this module. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { DoremiError } from "../../lib/errors.ts";

/** @throws DoremiError not-built */
export async function readProgram(): Promise<string> {
  const path = fileURLToPath(new URL("./page.js", import.meta.url));
  try {
    // In an element of a page, the text of its end must not be in it.
    return (await readFile(path, "utf8")).replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
  } catch (cause) {
    throw new DoremiError(
      "internal",
      "not-built",
      `${path}: the page's program must be here and can't be read; build it with \`npm run build\`, or reinstall doremi`,
      { file: path, cause },
    );
  }
}
