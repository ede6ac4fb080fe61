/** A process of its own that takes and releases a folder's lock as its parent tells it to. */
import { type FolderLock, LOCK_TIMING, lockFolder } from "../../src/pipeline/folder-lock.ts";

export type Order =
  | { readonly take: string; readonly afterMs?: number }
  | { readonly release: true }
  | { readonly exit: number };

export type Answer = { readonly taken: boolean; readonly code?: string } | { readonly released: true };

let lock: FolderLock | undefined;

process.on("message", async (order: Order) => {
  if ("exit" in order) process.exit(order.exit);
  if ("release" in order) {
    await lock?.release();
    lock = undefined;
    answer({ released: true });
    return;
  }
  // Spinning, not sleeping: the first steps of two that are told together then fall as close as they can.
  for (const end = performance.now() + (order.afterMs ?? 0); performance.now() < end; );
  try {
    lock = await lockFolder(order.take, order.take, { ...LOCK_TIMING, heartbeatMs: 20 });
    answer({ taken: true });
  } catch (error) {
    answer({ taken: false, code: (error as { code?: string }).code ?? String(error) });
  }
});

function answer(message: Answer): void {
  process.send!(message);
}
