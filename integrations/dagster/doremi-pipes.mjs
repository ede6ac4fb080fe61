#!/usr/bin/env node
/**
 * Runs one `doremi` command inside a Dagster Pipes session: `doremi-pipes.mjs run PIPELINE --output FOLDER`. It needs
 * nothing but Node, so it also runs in the program's own image. What the command said and how it ended goes to Dagster
 * as a custom message; the asset decides what comes of it. Not for use outside of Dagster: it then only runs the command.
 */
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { constants } from "node:os";
import { inflateSync } from "node:zlib";

const { DOREMI = "doremi", DAGSTER_PIPES_MESSAGES } = process.env;

/** Where messages go: Dagster gives the parameters as JSON, deflated, in base64. */
const destination = DAGSTER_PIPES_MESSAGES
  ? JSON.parse(inflateSync(Buffer.from(DAGSTER_PIPES_MESSAGES, "base64")).toString("utf8"))
  : null;

function send(method, params) {
  if (destination === null) return;
  const line = `${JSON.stringify({ __dagster_pipes_version: "0.1", method, params })}\n`;
  if (typeof destination.path === "string") appendFileSync(destination.path, line);
  else process[destination.stdio === "stdout" ? "stdout" : "stderr"].write(line);
}

send("opened", { extras: {} });
const child = spawn(DOREMI, [...process.argv.slice(2), "--log-format", "json"], { stdio: ["ignore", "pipe", "inherit"] });
// Dagster stops this process, not the one below it. SIGTERM and SIGINT make doremi save its state and leave within 20 s.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));

let output = "";
child.stdout.setEncoding("utf8");
child.stdout.on("data", (chunk) => {
  output += chunk;
});
child.on("error", (error) => finish(127, { error: { code: "cannot-start", message: error.message } }));
child.on("close", (status, signal) => {
  if (status === null) finish(128 + constants.signals[signal], { error: { code: "killed", message: signal } });
  else if (status >= 0) finish(status, lastLine());
});

function lastLine() {
  const line = output.trim().split("\n").at(-1);
  return line ? JSON.parse(line) : {};
}

/** Inside Dagster this process succeeds whatever the command ended with: how to go on is the asset's to say. */
function finish(status, result) {
  process.stdout.write(output);
  send("report_custom_message", { payload: { status, result } });
  send("closed", {});
  if (destination === null) process.exitCode = status;
}
