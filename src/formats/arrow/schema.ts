/**
 * The schema message of an Arrow file or stream as a tree of fields that says how many buffers each one takes in a
 * record batch, so that the selected columns can be found among any others, types unknown to apache-arrow included.
 */
import { DictionaryEncoding } from "apache-arrow/fb/dictionary-encoding";
import { Endianness } from "apache-arrow/fb/endianness";
import type { Field } from "apache-arrow/fb/field";
import { Int } from "apache-arrow/fb/int";
import type { Schema } from "apache-arrow/fb/schema";
import { Type } from "apache-arrow/fb/type";
import { Union } from "apache-arrow/fb/union";
import { UnionMode } from "apache-arrow/fb/union-mode";
import { requirePath, textRoles, wrongType } from "../columns.ts";
import { badShard } from "../failure.ts";
import type { ColumnSelection } from "../shard.ts";
import type { BatchHeader } from "./message.ts";

/** How a column of texts lies in its buffers. */
export type TextLayout = "null" | "offsets32" | "offsets64" | "views";

export interface ArrowField {
  readonly name: string;
  readonly type: Type;
  /** fields of a struct; of other nested types too, as far as counting buffers needs them */
  readonly inner: readonly ArrowField[];
  /** what a path may go into: fields of a struct only */
  readonly children: readonly ArrowField[];
  /** buffers of this field alone, without views' data buffers, in metadata versions V5 and V4 */
  readonly buffers: number;
  readonly hasVariadic: boolean;
  readonly dictionary?: DictionaryType;
}

export interface DictionaryType {
  readonly id: number;
  readonly indexBytes: 1 | 2 | 4 | 8;
  readonly isSigned: boolean;
}

export const METADATA_V5 = 4;
const MAX_DEPTH = 64;

/** @throws DoremiError unsupported-endianness */
export function fieldsOf(schema: Schema, version: number, uri: string): ArrowField[] {
  if (schema.endianness() === Endianness.Big) {
    throw badShard(
      "unsupported-endianness",
      { file: uri },
      "is big-endian Arrow, and only little-endian is read; write it again on another machine",
    );
  }
  // Damaged bytes can make fields their own children; a sound schema has a table of at least 8 bytes for each.
  const budget = { fields: (schema.bb?.capacity() ?? 0) / 8 };
  return tableVector(schema.fieldsLength(), budget, (i) => arrowField(schema.fields(i)!, version, 0, budget));
}

interface Budget {
  fields: number;
}

function tableVector<T>(length: number, budget: Budget, at: (i: number) => T): T[] {
  budget.fields -= length;
  if (length < 0 || budget.fields < 0) throw new Error("there are more fields than the schema's bytes can hold");
  return Array.from({ length }, (_, i) => at(i));
}

function arrowField(field: Field, version: number, depth: number, budget: Budget): ArrowField {
  if (depth > MAX_DEPTH) throw new Error(`fields are nested more than ${MAX_DEPTH} deep`);
  const type: Type = field.typeType();
  const encoding = field.dictionary(new DictionaryEncoding());
  const inner = tableVector(field.childrenLength(), budget, (i) =>
    arrowField(field.children(i)!, version, depth + 1, budget),
  );
  const name = field.name() ?? "";
  const children = type === Type.Struct_ ? inner : [];
  if (encoding) {
    const index = encoding.indexType(new Int());
    const indexBytes = (index?.bitWidth() ?? 32) / 8;
    if (indexBytes !== 1 && indexBytes !== 2 && indexBytes !== 4 && indexBytes !== 8) {
      throw new Error(`dictionary indices of field ${name} have ${indexBytes * 8} bits`);
    }
    const dictionary: DictionaryType = { id: Number(encoding.id()), indexBytes, isSigned: index?.isSigned() ?? true };
    return { name, type, inner, children: [], buffers: 2, hasVariadic: false, dictionary };
  }
  const hasVariadic = type === Type.Utf8View || type === Type.BinaryView;
  return { name, type, inner, children, buffers: bufferCount(field, type, version), hasVariadic };
}

function bufferCount(field: Field, type: Type, version: number): number {
  switch (type) {
    case Type.NONE:
    case Type.Null:
    case Type.RunEndEncoded:
      return 0;
    case Type.Struct_:
    case Type.FixedSizeList:
      return 1;
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Binary:
    case Type.LargeBinary:
    case Type.ListView:
    case Type.LargeListView:
      return 3;
    case Type.Union: {
      const isDense = field.type(new Union())!.mode() === UnionMode.Dense;
      return (isDense ? 2 : 1) + (version < METADATA_V5 ? 1 : 0);
    }
    default:
      return 2;
  }
}

const TEXT_LAYOUTS: ReadonlyMap<Type, TextLayout> = new Map([
  [Type.Null, "null"],
  [Type.Utf8, "offsets32"],
  [Type.Binary, "offsets32"],
  [Type.LargeUtf8, "offsets64"],
  [Type.LargeBinary, "offsets64"],
  [Type.Utf8View, "views"],
  [Type.BinaryView, "views"],
]);

/** One selected column: the fields from the top level down to the leaf. */
export interface TextPath {
  readonly path: string;
  readonly fields: readonly ArrowField[];
  readonly leaf: ArrowField;
  /** of the leaf, or of its dictionary's values */
  readonly layout: TextLayout;
}

/** The selected columns. @throws DoremiError missing-column, wrong-column-type */
export function selectText(fields: readonly ArrowField[], columns: ColumnSelection, uri: string) {
  const place = { file: uri };
  for (const path of columns.extra ?? []) requirePath(fields, path, place);
  const [text, domain] = textRoles(columns).map(({ path }): TextPath => {
    const along = requirePath(fields, path, place);
    const leaf = along.at(-1)!;
    const layout = TEXT_LAYOUTS.get(leaf.type);
    if (!layout || leaf.inner.length > 0) throw wrongType(place, path, typeInWords(leaf));
    return { path, fields: along, leaf, layout };
  });
  return { text: text!, ...(domain && { domain }) };
}

function typeInWords(field: ArrowField): string {
  switch (field.type) {
    case Type.List:
    case Type.LargeList:
    case Type.FixedSizeList:
    case Type.ListView:
    case Type.LargeListView:
      return `a list of ${Type[field.inner[0]?.type ?? Type.NONE]}`;
    case Type.Struct_:
      return `a struct (of ${field.children.map(({ name }) => name).join(", ")}); its fields are named with a dot`;
    case Type.RunEndEncoded:
      return "run-end encoded, which is not read";
    default:
      return Type[field.type] ?? `type ${field.type}`;
  }
}

/** Where a field's node and first buffer stand among those of its batch; views count their data buffers from `variadic`. */
export interface FieldPosition {
  readonly node: number;
  readonly buffer: number;
  readonly variadic: number;
}

/** Where in a batch's body the buffers of some columns lie. @param chosen leaves and what is around them */
export function buffersOf(
  chosen: Iterable<ArrowField>,
  { buffers, variadicCounts }: Pick<BatchHeader, "buffers" | "variadicCounts">,
  positions: ReadonlyMap<ArrowField, FieldPosition>,
): BatchHeader["buffers"] {
  return [...new Set(chosen)].flatMap((field) => {
    const { buffer, variadic } = positions.get(field)!;
    const count = field.buffers + (field.hasVariadic ? (variadicCounts[variadic] ?? 0) : 0);
    return buffers.slice(buffer, buffer + count);
  });
}

/** Positions of all fields of a batch, in the order of the wire (parents before children). */
export function positionsOf(
  fields: readonly ArrowField[],
  variadicCounts: readonly number[],
): ReadonlyMap<ArrowField, FieldPosition> {
  const positions = new Map<ArrowField, FieldPosition>();
  let node = 0;
  let buffer = 0;
  let variadic = 0;
  const visit = (field: ArrowField): void => {
    positions.set(field, { node, buffer, variadic });
    node++;
    buffer += field.buffers;
    if (field.hasVariadic) buffer += variadicCounts[variadic++] ?? 0;
    if (!field.dictionary) field.inner.forEach(visit);
  };
  fields.forEach(visit);
  return positions;
}
