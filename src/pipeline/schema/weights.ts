/** Domain weights wherever a pipeline file gives some. */
import { z } from "zod";
import { name } from "./common.ts";

/** `{domain: weight}`, at least one positive. */
const weightTable = z.record(name, z.number().min(0));

export const weights = z.union([z.enum(["natural", "uniform"]), weightTable, z.string().endsWith(".json")]);
