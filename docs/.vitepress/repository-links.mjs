/**
 * Links as the repository has them, for the site: one to a file that is no page (a program, a pipeline file) is the path
 * as code, and the README is the first page.
 */
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

export function repositoryLinks(md) {
  md.core.ruler.push("repository-links", ({ tokens, env, Token }) => {
    for (const { children } of tokens) {
      for (let at = 0; at < (children?.length ?? 0); at++) {
        const path = pathOf(children[at], env.path);
        if (path === undefined) continue;
        if (path === "README.md") setReadme(children[at]);
        if (path.endsWith(".md")) continue;
        const end = children.findIndex(({ type }, index) => index > at && type === "link_close");
        const text = children.slice(at + 1, end);
        const code = Object.assign(new Token("code_inline", "code", 0), { content: path, markup: "`" });
        const isPath = text.map(({ content }) => content).join("") === path;
        const open = Object.assign(new Token("text", "", 0), { content: " (" });
        const close = Object.assign(new Token("text", "", 0), { content: ")" });
        children.splice(at, end + 1 - at, ...(isPath ? [code] : [...text, open, code, close]));
      }
    }
  });
}

/** From the root of the repository; undefined where the token is no link to a file of it. */
function pathOf(token, page) {
  if (token.type !== "link_open") return undefined;
  const href = decodeURI(token.attrGet("href"));
  if (/^([a-z]+:|#)/.test(href)) return undefined;
  const path = join(dirname(page), href.split("#")[0]);
  return existsSync(path) ? relative(ROOT, path) : undefined;
}

const setReadme = (link) => link.attrSet("href", link.attrGet("href").replace("README.md", "index.md"));
