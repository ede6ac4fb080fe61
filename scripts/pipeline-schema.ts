/**
 * Writes pipelines/pipeline.schema.json from the zod schema, for editors. With --check it only says whether the file
 * is current (exit 1 where not).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { pipelineSchema } from "../src/pipeline/schema.ts";

const path = new URL("../pipelines/pipeline.schema.json", import.meta.url);
const schema = z.toJSONSchema(pipelineSchema, { io: "input", target: "draft-7" });
const text = `${JSON.stringify({ ...schema, title: "doremi pipeline file" }, null, 2)}\n`;
if (process.argv.includes("--check")) {
  let found = "";
  try {
    found = readFileSync(path, "utf8");
  } catch {}
  if (found !== text) {
    console.error("pipelines/pipeline.schema.json is not current; run `npm run schema`");
    process.exit(1);
  }
} else writeFileSync(path, text);
