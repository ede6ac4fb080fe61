/** What the schema says of a setting, by its path: the one source of comments in pipeline files and of the reference. */
import { z } from "zod";
import { pipelineSchema } from "./schema.ts";

interface Node {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
}

let root: Node | undefined;

/** @param path such as train.proxy.steps @returns undefined where the schema says nothing of it, or has no such setting */
export function settingText(path: string): string | undefined {
  root ??= z.toJSONSchema(pipelineSchema, { io: "input", target: "draft-7" }) as Node;
  return path.split(".").reduce<Node | undefined>((node, key) => node && member(node, key), root)?.description;
}

/** Of tables that are of one kind or another, the one that knows the key. */
function member(node: Node, key: string): Node | undefined {
  if (node.properties?.[key]) return node.properties[key];
  for (const kind of [...(node.anyOf ?? []), ...(node.oneOf ?? [])]) {
    const found = member(kind, key);
    if (found) return found;
  }
  return undefined;
}
