"""Makes exactness.json: counts and ids of the adversarial documents by the reference implementations.

usage: pip install tiktoken==0.14.0 tokenizers==0.23.3
       npx tsx -e 'import("./test/tokenizer/vocabularies.ts").then((v) => v.writeVocabularies("FOLDER"))'
       python make_exactness.py FOLDER
tiktoken counts what is split by a pattern (ranks of the npm packages gpt-tokenizer and llama3-tokenizer-js), Hugging
Face tokenizers the SentencePiece-style vocabularies. Llama 3 is counted by both, and the documents on which they
differ are told. Text of special tokens is text; invalid UTF-8 is replaced by U+FFFD first. Ids are kept as checksums.
"""
import base64, hashlib, json, pathlib, sys, time

import tiktoken, tiktoken_ext.openai_public as published
from tokenizers import Tokenizer

import adversarial

HERE = pathlib.Path(__file__).parent
RANKS = HERE / "../../../node_modules/gpt-tokenizer/data"
FOLDER = pathlib.Path(sys.argv[1])


def from_ranks(name):
    published.load_tiktoken_bpe = lambda *_, **__: {}
    published.check_file = lambda *_, **__: None
    lines = (RANKS / f"{name}.tiktoken").read_bytes().split(b"\n")
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    pattern = getattr(published, name)()["pat_str"]
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def from_tokenizer_json(name):
    spec = json.loads((FOLDER / f"{name}.json").read_text())
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    byte_of = {**{chr(b): b for b in visible}, **{chr(256 + i): b for i, b in enumerate(hidden)}}
    ranks = {bytes(byte_of[c] for c in token): id for token, id in spec["model"]["vocab"].items()}
    pattern = spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def hugging_face(name):
    tokenizer = Tokenizer.from_file(str(FOLDER / f"{name}.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def by_tiktoken(encoding):
    return lambda texts: encoding.encode_ordinary_batch(texts, num_threads=1)


def by_tokenizers(tokenizer):
    return lambda texts: [e.ids for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


ENCODE = {
    **{name.removesuffix("_base"): by_tiktoken(from_ranks(name)) for name in ("r50k_base", "p50k_base", "cl100k_base", "o200k_base")},
    "llama3": by_tiktoken(from_tokenizer_json("llama3")),
    "llama2": by_tokenizers(hugging_face("llama2")),
    "mistral": by_tokenizers(hugging_face("mistral")),
}
SECOND_OPINION = {"llama3": by_tokenizers(hugging_face("llama3"))}


def sha256(documents):
    digest = hashlib.sha256()
    for document in documents:
        digest.update(b"%d:" % len(document) + document)
    return digest.hexdigest()


def encode_all(what, documents):
    """The ids of every document, vocabulary by vocabulary: all of them at once would not fit in memory."""
    texts = [document.decode("utf-8", errors="replace") for document in documents]
    for name, encode in ENCODE.items():
        started = time.time()
        encoded = encode(texts)
        if name in SECOND_OPINION:
            differ = [i for i, pair in enumerate(zip(encoded, SECOND_OPINION[name](texts))) if pair[0] != pair[1]]
            if differ:
                print(what, name, "differs from tokenizers in documents", differ[:20], len(differ), flush=True)
        print(what, name, len(texts), f"{time.time() - started:.1f} s", flush=True)
        yield name, encoded


groups, scalars = {}, {}
for name, make in adversarial.GROUPS.items():
    documents = make()
    groups[name] = {"sha256": sha256(documents), "counts": {}, "ids": {}}
    for vocabulary, encoded in encode_all(name, documents):
        groups[name]["counts"][vocabulary] = [len(ids) for ids in encoded]
        groups[name]["ids"][vocabulary] = adversarial.checksum(encoded)
for name, context in adversarial.CONTEXTS.items():
    documents = adversarial.every_scalar(context)
    scalars[name] = {
        "sha256": sha256(documents),
        "checksums": {vocabulary: adversarial.checksums(encoded) for vocabulary, encoded in encode_all(name, documents)},
    }
text = json.dumps({"groups": groups, "scalars": scalars}, separators=(",", ":"))
(HERE / "exactness.json").write_text(text.replace('},"', '},\n"') + "\n")
