/** Which process a number means, and whether it is still that one: numbers are per system, and are used again. */
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";

/** Names the host, its boot and the process namespace: where this is the same, process numbers mean the same. */
export async function systemName(): Promise<string> {
  // Containers may share their host's name, and hosts a default one; so the name alone does not do.
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  const namespace = await readlink("/proc/self/ns/pid").catch(() => "");
  return [hostname(), boot.trim(), namespace].join(" ");
}

/** When a process of this system began, in ticks since the boot; null when it is dead, or the system does not say. */
export async function startOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const [state, ...fields] = text.slice(text.lastIndexOf(")") + 2).split(" "); // the name before it may hold anything
  if (state === "Z" || state === "X") return null; // ended, and its parent has not asked for its status
  return fields[18] ?? null;
}

export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // somebody else's
  }
}
