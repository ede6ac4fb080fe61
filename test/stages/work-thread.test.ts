/** A thread for one long piece of work: it talks, it can be ended, and its death is heard. */
import { afterEach, describe, expect, it } from "vitest";
import { WorkThread } from "../../src/stages/work-thread.ts";

type Order = "greet" | "leave" | "throw";

let thread: WorkThread<Order, string>;
afterEach(() => thread.end());

function start(onMessage: (message: string) => void = () => {}): typeof thread {
  const module = new URL("./workers/thread.ts", import.meta.url);
  thread = new WorkThread({ name: "the test", module, data: "there", onMessage, remedy: "try again" });
  return thread;
}

describe("a thread of its own", () => {
  it("gets its data and messages, and answers", async () => {
    const message = await new Promise((resolve) => start(resolve).post("greet"));
    expect(message).toBe("hello there");
  });

  it.each([
    ["leave", /the thread of the test ended before its work did \(exit code 3\); try again/],
    ["throw", /the thread of the test ended before its work did \(fell over\); try again/],
  ] as const)("is an error with a remedy when it dies: %s", async (order, message) => {
    start().post(order);
    await expect(thread.died).rejects.toMatchObject({
      kind: "internal",
      code: "thread-died",
      message: expect.stringMatching(message),
    });
  });

  it("is no error when it is ended", async () => {
    start();
    await thread.end();
    expect(await Promise.race([thread.died, new Promise((resolve) => setTimeout(resolve, 20, "quiet"))])).toBe("quiet");
  });
});
