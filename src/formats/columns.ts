/**
 * From a column path (`text`, `meta.pile_set_name`) to a field of a schema tree, for every format that has a schema.
 * A field whose name is exactly the path comes first; then dots go into structs, at every level alike.
 */
import type { ErrorPlace } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { badShard } from "./failure.ts";
import type { ColumnSelection } from "./shard.ts";

export interface FieldNode<F> {
  readonly name: string;
  /** fields of a struct; empty for anything else */
  readonly children: readonly F[];
}

/** The fields from the top level down to the one that the path names; undefined where there is none. */
export function findPath<F extends FieldNode<F>>(fields: readonly F[], path: string): readonly F[] | undefined {
  const exact = fields.find((field) => field.name === path);
  if (exact) return [exact];
  for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) {
    const parent = fields.find((field) => field.name === path.slice(0, dot));
    const below = parent && findPath(parent.children, path.slice(dot + 1));
    if (below) return [parent, ...below];
  }
  return undefined;
}

/** @throws DoremiError missing-column, with the columns that there are */
export function requirePath<F extends FieldNode<F>>(
  fields: readonly F[],
  path: string,
  place: ErrorPlace,
): readonly F[] {
  const found = findPath(fields, path);
  if (found) return found;
  const names = leafPaths(fields);
  const shown = names.length > 40 ? `${names.slice(0, 40).join(", ")}, … (${names.length} in all)` : names.join(", ");
  throw badShard(
    "missing-column",
    place,
    `must have a column ${path}; its columns are ${shown || "none"}${didYouMean(path, names)}`,
  );
}

/** All leaves, dots between the levels. */
export function leafPaths<F extends FieldNode<F>>(fields: readonly F[]): string[] {
  return fields.flatMap((field) =>
    field.children.length === 0 ? [field.name] : leafPaths(field.children).map((below) => `${field.name}.${below}`),
  );
}

export function wrongType(place: ErrorPlace, path: string, type: string): Error {
  return badShard(
    "wrong-column-type",
    place,
    `column ${path} must hold text (strings or bytes); it is ${type}. Name another column`,
  );
}

/** Columns that are read as text: the text itself and the domain names. */
export function textRoles(columns: ColumnSelection): { readonly role: "text" | "domain"; readonly path: string }[] {
  const text = { role: "text", path: columns.text } as const;
  return columns.domain === undefined ? [text] : [text, { role: "domain", path: columns.domain }];
}
