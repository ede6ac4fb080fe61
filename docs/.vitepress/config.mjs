/** The site: search without a network, formulas as pictures, dead links refused. Links out of docs/ are the tests' to check. */
import { defineConfig } from "vitepress";

const pages = (folder, names) => names.map(([text, page]) => ({ text, link: `/${folder}${page}` }));

export default defineConfig({
  title: "doremi",
  description: "How much of each domain a language model should be trained on",
  srcExclude: ["node_modules/**"],
  ignoreDeadLinks: [/^(\.\/)?(\.\.\/)+(bench|examples|integrations|pipelines|test|README|SECURITY|CHANGELOG)/],
  markdown: { math: true },
  // the search index of the reference
  vite: { build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    sidebar: [
      { text: "Tutorial", link: "/tutorial" },
      {
        text: "How to",
        items: pages("how-to/", [
          ["Object stores", "object-stores"],
          ["Slurm and other clusters", "clusters"],
          ["Tokenizers", "tokenizers"],
          ["A reference of your own", "reference-model"],
          ["Rounds and seeds", "rounds-and-seeds"],
          ["A transform", "transform"],
          ["The size of the proxy", "proxy-size"],
          ["Bad data", "bad-data"],
          ["Resuming", "resuming"],
          ["Counting alone", "counting"],
          ["Models, training, objectives", "training"],
          ["Look at a run", "report"],
          ["As a library", "library"],
          ["Materialize and export", "materialize"],
        ]),
      },
      {
        text: "Reference",
        items: pages("", [
          ["Commands", "reference/commands"],
          ["The pipeline file", "reference/pipeline-file"],
          ["Errors", "reference/errors"],
          ["The library", "reference/library"],
          ["Results", "results"],
        ]),
      },
      {
        text: "Explanation",
        items: pages("", [
          ["Methods", "methods"],
          ["Units and tokenizers", "units"],
          ["Is it worth it?", "when"],
          ["What is promised", "promises"],
        ]),
      },
    ],
  },
});
