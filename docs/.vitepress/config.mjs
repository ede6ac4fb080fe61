/**
 * The site: search without a network, formulas as pictures, and every page where its file lies in the repository, so that a
 * link which is right there is right here. The README is the first page. Dead links are refused, in what was built too.
 */
import { defineConfig } from "vitepress";
import { refuseDeadLinks } from "./dead-links.ts";
import { repositoryLinks } from "./repository-links.mjs";

/** What pages are built with is found where docs/ has it, for those outside of docs/ too. */
const packagesOfDocs = {
  name: "packages-of-docs",
  enforce: "pre",
  resolveId(source, _importer, { ssr }) {
    if (!/^vue(\/server-renderer)?$/.test(source)) return null;
    return ssr ? { id: source, external: true } : this.resolve(source, import.meta.filename, { skipSelf: true });
  },
};

const pages = (folder, names) => names.map(([text, page]) => ({ text, link: `/${folder}${page}` }));

export default defineConfig({
  title: "doremi",
  description: "How much of each domain a language model should be trained on",
  srcDir: "..",
  srcExclude: ["test/files/**", "{dist,runs,shared}/**"],
  rewrites: { "README.md": "index.md" },
  markdown: { math: true, config: repositoryLinks },
  buildEnd: ({ outDir }) => refuseDeadLinks(outDir),
  vite: {
    plugins: [packagesOfDocs],
    // the search index of the reference
    build: { chunkSizeWarningLimit: 2000 },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    sidebar: [
      { text: "Tutorial", link: "/docs/tutorial" },
      {
        text: "How to",
        items: pages("docs/how-to/", [
          ["Counting alone", "counting"],
          ["Tokenizers", "tokenizers"],
          ["A transform", "transform"],
          ["Bad data", "bad-data"],
          ["Models, training, objectives", "training"],
          ["The size of the proxy", "proxy-size"],
          ["A reference of your own", "reference-model"],
          ["Rounds and seeds", "rounds-and-seeds"],
          ["Resuming", "resuming"],
          ["Look at a run", "report"],
          ["Materialize and export", "materialize"],
          ["Object stores", "object-stores"],
          ["Slurm and other clusters", "clusters"],
          ["As a library", "library"],
        ]),
      },
      {
        text: "Reference",
        items: pages("docs/", [
          ["Commands", "reference/commands"],
          ["The pipeline file", "reference/pipeline-file"],
          ["Errors", "reference/errors"],
          ["The library", "reference/library"],
          ["Results", "results"],
        ]),
      },
      {
        text: "Explanation",
        items: pages("docs/", [
          ["Words", "words"],
          ["Is it worth it?", "when"],
          ["Methods", "methods"],
          ["Units and tokenizers", "units"],
          ["What is promised", "promises"],
        ]),
      },
      {
        text: "Measured",
        collapsed: true,
        items: pages("bench/results/", [
          ["Evidence", "evidence"],
          ["Counting", "count"],
          ["Memory of counting", "count-memory"],
          ["Training", "train"],
          ["Memory of training", "memory"],
          ["Resampling", "manifest"],
          ["Runs that are killed", "crash"],
          ["Fuzzing", "fuzz"],
          ["Slurm", "slurm"],
        ]),
      },
    ],
  },
});
