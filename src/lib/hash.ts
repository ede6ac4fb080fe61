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
  return JSON.stringify(value, (_key, member: unknown) =>
    member !== null && typeof member === "object" && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : member,
  );
}

export function sha256Json(value: unknown): string {
  return sha256(canonicalJson(value));
}
