/**
 * What VitePress's own check leaves out: links to anything but a page, pictures, and headings. Every address on a built
 * page that is not of another site has to lead to a built file, and to an id on it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** @throws Error that names every page with a dead link, and the link */
export function refuseDeadLinks(folder: string): void {
  const pages = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".html"));
  const texts = new Map(pages.map((page) => [join(folder, page), readFileSync(join(folder, page), "utf8")]));
  const dead = [...texts].flatMap(([page, text]) =>
    [...text.matchAll(/<(?:a|img|source)\b[^>]*?\s(?:href|src)="([^"]*)"/g)]
      .map((match) => match[1]!.replaceAll("&amp;", "&"))
      .filter((link) => !/^([a-z]+:|\/\/)/.test(link) && !leads(link, page))
      .map((link) => `${relative(folder, page)}: ${link}`),
  );
  if (dead.length > 0) throw new Error(`the site has dead links:\n${[...new Set(dead)].join("\n")}`);

  function leads(link: string, page: string): boolean {
    const [path = "", anchor] = decodeURI(link).split("#");
    const named = path === "" ? page : path.startsWith("/") ? join(folder, path) : join(dirname(page), path);
    const target = path.endsWith("/") ? join(named, "index.html") : named;
    const text = texts.get(target);
    if (text === undefined) return existsSync(target) && anchor === undefined;
    return anchor === undefined || anchor === "" || text.includes(` id="${anchor}"`);
  }
}
