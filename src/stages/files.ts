/** Where the stages open their inputs. */
import { LocalStorage } from "../storage/local.ts";
import type { Storage } from "../storage/storage.ts";

export const storage: Storage = new LocalStorage();
