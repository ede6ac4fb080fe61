/**
 * A graph as the bytes of an ONNX model file (protobuf wire format, ONNX IR 8, opset 18). Only the handful of messages
 * that our graphs need are written, which is less code than a protobuf library's schema of them would be.
 */
import type { Attribute, Graph, GraphConstant, GraphNode, ValueSpec, ValueType } from "./graph.ts";

export const OPSET = 18;
const IR_VERSION = 8;

/** TensorProto.DataType */
export const DATA_TYPE: Record<ValueType, number> = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
};
/** AttributeProto.AttributeType */
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, graph: 5, ints: 7 } as const;

/**
 * @param emptySequence name of one more output, before all others: an empty sequence of tensors
 */
export function encodeOnnx(graph: Graph, emptySequence?: string): Uint8Array {
  const model = new Message();
  model.int(1, IR_VERSION);
  model.text(2, "doremi");
  model.message(7, graphProto(graph, emptySequence));
  const opset = new Message();
  opset.text(1, "");
  opset.int(2, OPSET);
  model.message(8, opset);
  for (const domain of new Set(graph.nodes.map((node) => domainOf(node.op)))) {
    if (domain === "") continue;
    const contributed = new Message();
    contributed.text(1, domain);
    contributed.int(2, 1);
    model.message(8, contributed);
  }
  return model.bytes();
}

function graphProto(graph: Graph, emptySequence?: string): Message {
  const proto = new Message();
  if (emptySequence !== undefined) {
    proto.message(1, nodeProto({ op: "SequenceEmpty", inputs: [], outputs: [emptySequence], attributes: {} }));
    proto.message(12, sequenceInfo(emptySequence));
  }
  for (const node of graph.nodes) proto.message(1, nodeProto(node));
  proto.text(2, graph.name);
  for (const constant of graph.constants) proto.message(5, tensorProto(constant));
  for (const [name, spec] of Object.entries(graph.inputs)) proto.message(11, valueInfo(name, spec));
  for (const [name, spec] of Object.entries(graph.outputs)) proto.message(12, valueInfo(name, spec));
  // The shapes of all other values: the runtime compares them with what it infers, so a wrong one does not pass.
  for (const [name, spec] of graph.values) {
    if (!(name in graph.inputs) && !(name in graph.outputs)) proto.message(13, valueInfo(name, spec));
  }
  return proto;
}

function nodeProto(node: GraphNode): Message {
  const proto = new Message();
  for (const input of node.inputs) proto.text(1, input);
  for (const output of node.outputs) proto.text(2, output);
  proto.text(3, node.outputs[0] ?? "");
  const domain = domainOf(node.op);
  proto.text(4, domain ? node.op.slice(domain.length + 1) : node.op);
  for (const [name, value] of Object.entries(node.attributes)) proto.message(5, attributeProto(name, value));
  if (domain) proto.text(7, domain);
  return proto;
}

/** What stands before the last dot of an operator's name. */
function domainOf(op: string): string {
  return op.slice(0, Math.max(0, op.lastIndexOf(".")));
}

function attributeProto(name: string, value: Attribute): Message {
  const proto = new Message();
  proto.text(1, name);
  if (typeof value === "number") {
    proto.int(3, value);
    proto.int(20, ATTRIBUTE_TYPE.int);
  } else if (typeof value === "string") {
    proto.text(4, value);
    proto.int(20, ATTRIBUTE_TYPE.string);
  } else if ("float" in value) {
    proto.float(2, value.float);
    proto.int(20, ATTRIBUTE_TYPE.float);
  } else if ("nodes" in value) {
    proto.message(6, graphProto(value));
    proto.int(20, ATTRIBUTE_TYPE.graph);
  } else {
    for (const item of value) proto.int(8, item);
    proto.int(20, ATTRIBUTE_TYPE.ints);
  }
  return proto;
}

function tensorProto(constant: GraphConstant): Message {
  const proto = new Message();
  for (const size of constant.shape) proto.int(1, size);
  proto.int(2, DATA_TYPE[constant.dtype]);
  proto.text(8, constant.name);
  proto.raw(9, constant.bytes);
  return proto;
}

function sequenceInfo(name: string): Message {
  const tensor = new Message();
  tensor.int(1, DATA_TYPE.float32);
  const element = new Message();
  element.message(1, tensor);
  const sequence = new Message();
  sequence.message(1, element);
  const type = new Message();
  type.message(4, sequence);
  const proto = new Message();
  proto.text(1, name);
  proto.message(2, type);
  return proto;
}

function valueInfo(name: string, spec: ValueSpec): Message {
  const shape = new Message();
  for (const size of spec.shape) {
    const dimension = new Message();
    dimension.int(1, size);
    shape.message(1, dimension);
  }
  const tensor = new Message();
  tensor.int(1, DATA_TYPE[spec.dtype]);
  tensor.message(2, shape);
  const type = new Message();
  type.message(1, tensor);
  const proto = new Message();
  proto.text(1, name);
  proto.message(2, type);
  return proto;
}

/** A protobuf message under construction: varint, 32-bit and length-delimited fields, in one array that grows. */
class Message {
  #bytes = Buffer.allocUnsafe(64);
  #length = 0;

  /** int32, int64 or enum field */
  int(field: number, value: number): void {
    this.#varint(field << 3);
    this.#varint(value);
  }

  float(field: number, value: number): void {
    this.#varint((field << 3) | 5);
    this.#reserve(4);
    this.#length = this.#bytes.writeFloatLE(value, this.#length);
  }

  raw(field: number, bytes: Uint8Array): void {
    this.#begin(field, bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(field: number, value: string): void {
    this.#begin(field, Buffer.byteLength(value));
    this.#length += this.#bytes.write(value, this.#length);
  }

  message(field: number, message: Message): void {
    this.raw(field, message.bytes());
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Tag and length of a field, and room for so many bytes. */
  #begin(field: number, length: number): void {
    this.#varint((field << 3) | 2);
    this.#varint(length);
    this.#reserve(length);
  }

  #varint(value: number): void {
    this.#reserve(10);
    if (value < 0) {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      this.#bytes[this.#length++] = Number(rest);
      return;
    }
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  #reserve(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + length));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
