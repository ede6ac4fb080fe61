/** The Python module that an export to Hugging Face datasets puts beside its mixture.json: the same for every manifest. */
export const MODULE = `"""The mixture for Hugging Face datasets, from mixture.json beside this file."""

import json
from functools import partial
from pathlib import Path

from datasets import Features, Value, concatenate_datasets, interleave_datasets, load_dataset

MIXTURE = json.loads((Path(__file__).resolve().parent / "mixture.json").read_text(encoding="utf-8"))
TEXT = Features({"text": Value("string"), "domain": Value("string")})


def load(shuffle_buffer=0):
    """Documents with their domain, drawn by the probabilities; a buffer above 0 shuffles within each domain."""
    domains = [load_domain(domain, shuffle_buffer) for domain in MIXTURE["domains"]]
    if len(domains) == 1:
        return domains[0].take(MIXTURE["documents"])
    return interleave_datasets(
        domains,
        probabilities=[domain["probability"] for domain in MIXTURE["domains"]],
        seed=MIXTURE["seed"],
        stopping_strategy="all_exhausted_without_replacement",
    ).take(MIXTURE["documents"])


def load_domain(domain, shuffle_buffer=0):
    """The domain's documents; without end where the mixture repeats."""
    data = concatenate_datasets([_load_part(domain["name"], **part) for part in domain["parts"]])
    if shuffle_buffer > 0:
        data = data.shuffle(seed=MIXTURE["seed"], buffer_size=shuffle_buffer)
    return data.repeat(None) if MIXTURE["repeat"] else data


def _load_part(name, builder, data_files, domain_column):
    data = load_dataset(builder, data_files=data_files, split="train", streaming=True)
    pick = _mixed if MIXTURE["mixed"] else partial(_documents, name=name, domain_column=domain_column)
    return data.map(pick, batched=True, batch_size=256, remove_columns=data.column_names, features=TEXT)


def _documents(batch, name, domain_column):
    texts = _column(batch, MIXTURE["text_column"])
    if domain_column is not None:
        domains = _column(batch, domain_column)
        texts = [text for text, value in zip(texts, domains) if _domain_of(value) == name]
    texts = [text for text in texts if text is not None]
    return {"text": texts, "domain": [name] * len(texts)}


def _mixed(batch):
    """Rows of a set in the manifest's order say their domain themselves."""
    return {"text": batch["text"], "domain": batch["domain"]}


def _column(columns, path):
    """A column of the batch; dots go into structs where no column has the whole path for its name."""
    if path in columns:
        return columns[path]
    for dot in (i for i, letter in enumerate(path) if letter == "."):
        if path[:dot] in columns:
            return [_value(row, path[dot + 1 :]) for row in columns[path[:dot]]]
    raise KeyError(f"no column {path}; there are {', '.join(columns)}")


def _value(row, path):
    if row is None or path in row:
        return None if row is None else row[path]
    for dot in (i for i, letter in enumerate(path) if letter == "."):
        if path[:dot] in row:
            return _value(row[path[:dot]], path[dot + 1 :])
    return None


def _domain_of(value):
    """The domain that a row's column names, by the manifest's rule; None where it is none of them."""
    rule = MIXTURE["domain_rule"]
    if rule is None or value is None:
        return value
    name = (rule["map"] or {}).get(value, value)
    if rule["listed"] is None or name in rule["listed"]:
        return name
    return rule["unlisted"]["domain"] if isinstance(rule["unlisted"], dict) else None
`;
