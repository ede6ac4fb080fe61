/** A thread that does what it is told to. */
import { parentPort, workerData } from "node:worker_threads";

parentPort!.on("message", (message: "greet" | "leave" | "throw" | "finish") => {
  if (message === "greet") parentPort!.postMessage(`hello ${workerData}`);
  if (message === "leave") process.exit(3);
  if (message === "finish") process.exit(0);
  if (message === "throw") throw new Error("fell over");
});
