/**
 * Brings SwiftShader, a Vulkan driver in software, into a folder, so that WebGPU can be tested without a graphics card and
 * without root rights: `node scripts/software-vulkan.mjs FOLDER`, then LD_LIBRARY_PATH=FOLDER. Only the npm registry is
 * needed: a package of Chromium for servers has the driver in it.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";

const PACKAGE = "@sparticuz/chromium";
const VERSION = "153.0.0";

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node scripts/software-vulkan.mjs FOLDER");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
// Beside its destination, so that the driver is moved and not copied.
const work = mkdtempSync(join(folder, "download-"));
try {
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--silent"];
  execFileSync("npm", ["install", "--prefix", work, ...options, `${PACKAGE}@${VERSION}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const archive = brotliDecompressSync(readFileSync(join(work, "node_modules", PACKAGE, "bin/swiftshader.tar.br")));
  execFileSync("tar", ["-x", "-C", work, "libvk_swiftshader.so"], { input: archive });
  // The driver has the loader's entry point itself, so that in the loader's place it is the only driver there is.
  renameSync(join(work, "libvk_swiftshader.so"), join(folder, "libvulkan.so.1"));
} finally {
  rmSync(work, { recursive: true });
}
