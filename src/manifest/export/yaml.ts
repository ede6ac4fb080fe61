/**
 * YAML as the stacks' parsers read it, which is PyYAML's 1.1: all text but plain words is quoted, and a small number is
 * 1.0e-7, since 1e-7 would be text.
 */
import { Document, type ScalarTag, visit } from "yaml";

const pythonNumber: ScalarTag = {
  identify: (value) => typeof value === "number",
  default: true,
  tag: "tag:yaml.org,2002:float",
  test: /(?!)/, // for writing only; a tag without a test gives way to those that have one
  resolve: (text) => Number(text),
  stringify: ({ value }) => String(value).replace(/^(-?\d+)e/, "$1.0e"),
};

const PLAIN = /^[A-Za-z/][\w./-]*$/;

/** @param comment lines put above, without their `#` */
export function yamlText(comment: readonly string[], value: unknown): string {
  const document = new Document(value, {
    version: "1.1", // quotes the words that 1.1 takes for booleans
    aliasDuplicateObjects: false,
    // Nothing here is merged, so << is text like any other.
    customTags: (tags) => [
      pythonNumber,
      ...tags.filter((tag) => typeof tag === "string" || !tag.tag.endsWith(":merge")),
    ],
  });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === "string" && !PLAIN.test(node.value)) node.type = "QUOTE_DOUBLE";
    },
  });
  return `${comment.map((line) => `# ${line}\n`).join("")}${document.toString({ lineWidth: 0 })}`;
}
