/**
 * Columns beside text and domain, of any type that apache-arrow has, for transforms: loaded by apache-arrow from the
 * column's own buffers and given as JavaScript values. Not for text: every value becomes an object or a string here.
 */
import type { Data, DataType } from "apache-arrow";
import { Field, Vector } from "apache-arrow";
import type { Schema } from "apache-arrow/fb/schema";
import { BufferRegion, FieldNode } from "apache-arrow/ipc/metadata/message";
import { VectorLoader } from "apache-arrow/visitor/vectorloader";
import { requirePath } from "../columns.ts";
import { badShard, reason } from "../failure.ts";
import type { BatchSource } from "./buffers.ts";
import { readBuffer } from "./buffers.ts";
import type { BatchLocator } from "./layout.ts";
import { readMessage } from "./message.ts";
import type { ArrowField, FieldPosition } from "./schema.ts";

export interface ExtraRequest {
  readonly source: BatchSource;
  readonly schema: Schema;
  readonly version: number;
  readonly fields: readonly ArrowField[];
  readonly positions: ReadonlyMap<ArrowField, FieldPosition>;
  readonly locator: BatchLocator;
  readonly paths: readonly string[];
}

type Dictionaries = Map<number, Vector>;

/** Values by path, one for each row of the batch. */
export async function readExtraColumns(request: ExtraRequest): Promise<Map<string, ArrayLike<unknown>>> {
  const values = new Map<string, ArrayLike<unknown>>();
  for (const path of request.paths) values.set(path, await readExtra(request, path));
  return values;
}

async function readExtra(request: ExtraRequest, path: string): Promise<ArrayLike<unknown>> {
  const { source, schema, version, fields, positions, locator } = request;
  const along = requirePath(fields, path, { file: source.file.uri });
  const top = along[0]!;
  const types = new Map<number, DataType>();
  try {
    const field = Field.decode(schema.fields(fields.indexOf(top))!, types);
    const dictionaries: Dictionaries = new Map();
    for (const [id, type] of types) {
      const messages = locator.dictionaries.find((dictionary) => dictionary.id === id)?.messages ?? [];
      const parts: Data[] = [];
      for (const { offset } of messages) {
        const found = await readMessage(source.file, offset, source.place, source.limits);
        if (found?.message.kind !== "dictionary") throw new Error(`no dictionary at byte ${offset}`);
        const part = { ...source, message: found.place, header: found.message.batch };
        parts.push(await load(part, type, 0, 0, 0, dictionaries, version));
      }
      dictionaries.set(id, new Vector(parts).memoize() as Vector);
    }
    const { node, buffer, variadic } = positions.get(top)!;
    const { rows, nodes } = source.header;
    // The loader believes the lengths that nodes say, whatever the buffers hold.
    if (nodes[node]?.length !== rows) throw new Error(`has ${nodes[node]?.length} rows, and its batch ${rows}`);
    let vector: Vector | null = new Vector([
      await load(source, field.type, node, buffer, variadic, dictionaries, version, endOf(request, top)),
    ]);
    for (const { name } of along.slice(1)) vector = vector?.getChild(name) ?? null;
    if (!vector) return new Array(rows).fill(null);
    if (vector.length !== rows) throw new Error(`has ${vector.length} rows, and its batch ${rows}`);
    return Array.from(vector as Iterable<unknown>);
  } catch (error) {
    throw badShard("wrong-column-type", source.place, `column ${path} cannot be decoded: ${reason(error)}`, error);
  }
}

/** Buffers from..to of the batch, joined into one body, and the vector that they make. */
async function load(
  source: BatchSource,
  type: DataType,
  node: number,
  from: number,
  variadic: number,
  dictionaries: Dictionaries,
  version: number,
  to = source.header.buffers.length,
): Promise<Data> {
  const { header } = source;
  const parts: Uint8Array[] = [];
  for (let i = from; i < to; i++) parts.push(await readBuffer(source, i));
  const padded = (length: number) => (length + 7) & ~7;
  const body = new Uint8Array(parts.reduce((sum, part) => sum + padded(part.length), 0));
  let at = 0;
  const regions = parts.map((part) => {
    body.set(part, at);
    const region = new BufferRegion(at, part.length);
    at += padded(part.length);
    return region;
  });
  const nodes = header.nodes.slice(node).map(({ length, nulls }) => new FieldNode(length, nulls));
  const counts = header.variadicCounts.slice(variadic);
  return new VectorLoader(body, nodes, regions, dictionaries, version, [...counts]).visit(type);
}

/** The buffer after the field's last one. */
function endOf({ source, fields, positions }: ExtraRequest, top: ArrowField): number {
  const next = fields[fields.indexOf(top) + 1];
  return next ? positions.get(next)!.buffer : source.header.buffers.length;
}
