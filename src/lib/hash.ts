/** SHA-256 of bytes, files and JSON values. JSON is hashed in one canonical spelling: keys sorted, no white space. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Reads the file piece by piece into the same memory, so its size does not matter. */
export async function sha256File(path: string, signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  const hash = createHash("sha256");
  const piece = Buffer.allocUnsafeSlow(1 << 20);
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, null);
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(piece.subarray(0, bytesRead));
      signal?.throwIfAborted();
    }
  } finally {
    await file.close();
  }
}

/** JSON with the keys of every object in code-unit order; `undefined` members are left out, as in JSON.stringify. */
export function canonicalJson(value: unknown): string {
  // By hand: a replacer that sorts makes JSON.stringify several times slower, and long lists go through here.
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`);
  }
  return `{${members.join(",")}}`;
}

export function sha256Json(value: unknown): string {
  return sha256(canonicalJson(value));
}
