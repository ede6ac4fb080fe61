/** A thread for one long piece of work: it talks, it can be ended, and its death is heard. */
import { afterEach, describe, expect, it } from "vitest";
import { WorkThread } from "../../src/stages/work-thread.ts";

type Order = "greet" | "leave" | "throw" | "finish";

let thread: WorkThread<Order, string>;
afterEach(() => thread.end());

function start(onMessage: (message: string) => void = () => {}, more: { follows?: true } = {}): typeof thread {
  const module = new URL("./workers/thread.ts", import.meta.url);
  thread = new WorkThread({ name: "the test", module, data: "there", onMessage, remedy: "try again", ...more });
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

  it("is an error when it finishes untold, but for one that follows another", async () => {
    start().post("finish");
    await expect(thread.died).rejects.toMatchObject({ message: expect.stringMatching(/exit code 0/) });
    start(() => {}, { follows: true }).post("finish"); // starting takes well under two seconds
    expect(await Promise.race([thread.died, new Promise((resolve) => setTimeout(resolve, 2000, "quiet"))])).toBe(
      "quiet",
    );
    start(() => {}, { follows: true }).post("leave");
    await expect(thread.died).rejects.toMatchObject({ message: expect.stringMatching(/exit code 3/) });
  });

  it("is no error when it is ended", async () => {
    start();
    await thread.end();
    expect(await Promise.race([thread.died, new Promise((resolve) => setTimeout(resolve, 20, "quiet"))])).toBe("quiet");
  });
});
