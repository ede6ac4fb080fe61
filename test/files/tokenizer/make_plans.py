"""Makes plans.json: how tokenizer.json files split text, cut out added tokens and mark spaces, with the reference's ids.

usage: pip install tokenizers==0.23.3 && python make_plans.py
Each variant is a change of the quickstart's tokenizer (byte-level) or of byte-fallback.json, encoded by Hugging Face
tokenizers 0.23.3. Kept is one checksum of the ids for every eight documents.
"""
import copy, json, pathlib, random
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
BASES = {
    "bytes": json.loads((HERE / "../../../pipelines/quickstart/tokenizer-4096.json").read_text()),
    "characters": json.loads((HERE / "byte-fallback.json").read_text()),
}
C = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
P = r"[^\r\n\p{L}\p{N}]?"


def split(regex, **more):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False, **more}


def byte_level(use_regex=False, add_prefix_space=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def sequence(*parts):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(parts)}}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


def cased(upper, lower, contraction):
    return f"{P}[{upper}]*[{lower}]+{contraction}|{P}[{upper}]+[{lower}]*{contraction}|"


# of the model's own list the parts that are not one or two characters
LETTERS = r"A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᴀ-ᴫᵫ-ᵷᵹ-ᶚⰀ-ⱻⱾ-ⳤꙀ-ꙭꚀ-ꚛꜢ-ꝯꭰ-ꮿＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𞤀-𞥃"
HAN = r"[\p{Han}]+|"
AND_NOT_HAN = r"&&[^\p{Han}]"
# as published, as far as we know, for the models named
SPLITS = {
    "starcoder": sequence(digits(True), byte_level(True)),
    "falcon": sequence({"type": "Punctuation", "behavior": "Contiguous"}, byte_level(True), digits(False), split("[0-9][0-9][0-9]")),
    "bloom": sequence(split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), byte_level()),
    "deepseek-coder": sequence(split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), digits(True), byte_level()),
    "deepseek-v2": sequence(split(r"[\r\n]"), split(rf"\s?[{LETTERS}]+"), split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"), split(r"\s+$"), split("[一-龥ࠀ-一가-퟿]+"), digits(True), byte_level()),
    "deepseek-v3": sequence(split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""), byte_level()),
    "tekken": sequence(split(cased(UPPER, LOWER, "") + r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"), byte_level()),
    "qwen3.5": sequence(split(C + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), byte_level()),
    "cl100k": sequence(split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s".replace("{1,3}+", "{1,3}")), byte_level()),
    "kimi": sequence(split(HAN + cased(UPPER + AND_NOT_HAN, LOWER + AND_NOT_HAN, C + "?") + TAIL), byte_level()),
    "roberta": {"pre_tokenizer": byte_level(True, True)},
    "unsplit": {"pre_tokenizer": byte_level()},
    "unsplit-whole": {"pre_tokenizer": byte_level(), "model": {"ignore_merges": True}},
    "literal": sequence({**split(""), "pattern": {"String": "e "}}, byte_level(True)),
    "anchors": sequence(split(r"^\s+|\A.|\S+?(?=[aeiou])|(?<=\s)[A-Z]{2,}|(?<!\d)\d{2,3}(?!\d)|(?:e[rs]|t)+?$|[^\x20-\x7e]{2,}|.\z"), byte_level()),
    "groups": sequence(split(r"(?:[a-z]{1,2}\d?|[A-Z](?:[a-z]|'[st])*)+|\P{L}{3,}|\D\d*?[\u0301\x{e9}]"), byte_level()),
}
MARK = "\u2581"
METASPACE = {"type": "Metaspace", "replacement": MARK}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}


def without(*kinds):
    vocab = BASES["characters"]["model"]["vocab"]
    drop = {"bytes": lambda t: t.startswith("<0x"), "some": lambda t: t.startswith("<0xC")}
    keep = {t: i for t, i in vocab.items() if not any(drop[k](t) for k in kinds)}
    return {"vocab": keep, "merges": [m for m in BASES["characters"]["model"]["merges"] if all(t in keep for t in (*m, "".join(m)))]}


SPACES = {
    **{
        f"metaspace-{scheme}-{'words' if words else 'whole'}": {"normalizer": None, "pre_tokenizer": {**METASPACE, "prepend_scheme": scheme, "split": words}}
        for scheme in ("first", "always", "never") for words in (True, False)
    },
    "gemma": {"normalizer": REPLACE, "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}},
    "nfkc-prepend": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Prepend", "prepend": MARK}, REPLACE]}},
    "unknown": {"model": {**without("bytes"), "byte_fallback": False, "fuse_unk": False}},
    "unknown-fused": {"model": {**without("bytes"), "byte_fallback": False, "fuse_unk": True}},
    "some-bytes": {"model": {**without("some"), "fuse_unk": False}},
    "some-bytes-fused": {"model": {**without("some"), "fuse_unk": True}},
    "dropped": {"model": {**without("bytes"), "byte_fallback": False, "unk_token": None}},
    "split-characters": sequence(split(r"\p{L}+|\s")),
    "metaspace-library": {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": False}},
}
TOKENS = [
    ("<s>", {"special": True, "lstrip": True}), ("<pad>", {"special": True, "rstrip": True}), ("[M]", {"special": True, "lstrip": True, "rstrip": True}),
    ("<s", {}), ("word", {"single_word": True}), ("Été", {"normalized": True, "single_word": True}), ("ha", {"normalized": True, "lstrip": True}),
    ("    ", {}), ("  ", {"normalized": True}), ("s> ", {}), ("ha ha", {"normalized": True, "rstrip": True}), (MARK + "x", {}), ("<|end|>", {"special": True}),
]


def added(base, changes={}):
    vocab, tokens = base["model"]["vocab"], [(c, {**its, **changes.get(c, {})}) for c, its in TOKENS]
    new = [content for content, _ in tokens if content not in vocab]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return [{"id": vocab[c] if c in vocab else len(vocab) + new.index(c), "content": c, **flags, **its} for c, its in tokens]


ADDED = {
    "added": {},
    "added-lowercase": {"normalizer": {"type": "Lowercase"}},
    "added-roberta": {"pre_tokenizer": byte_level(True, True)},
    "added-greedy": {},
}
# white space that one token takes may hold another, of which then nothing is left
GREEDY = {"    ": {"lstrip": True, "rstrip": True}, "  ": {"lstrip": True, "rstrip": True, "normalized": False}}
ADDED_CHARACTERS = {
    "added-llama": {},
    "added-first": {"normalizer": None, "pre_tokenizer": {**METASPACE, "prepend_scheme": "first", "split": False}},
    "added-always": {"normalizer": {"type": "NFC"}, "pre_tokenizer": {**METASPACE, "prepend_scheme": "always", "split": True}},
}


def documents():
    r = random.Random(1)
    vectors = json.loads((HERE / "vectors.json").read_text())
    words = ["word", "WORD", "sword", "word_", "Été", "été", "E\u0301te\u0301", "ha", "Ha", "ha ha", "haha", "hah"]
    tokens = [content for content, _ in TOKENS]
    spaces = [" ", "  ", "    ", "\n", "\t", "\u00a0", "\u3000", MARK, MARK + " ", ""]
    other = ["a", "x", "1", "12", "1234", ".", "_", "\u0301", "\u200d", "é", "日本", "ⅷ", "²", "'s", "'\u017f", "DON'T", "!!", "B\n", "B<0x0A>", "\u0660\u0661", "𝟘", "\r\n", "€", "𐀀"]
    texts = ["".join(r.choice(r.choice([words, tokens, spaces, spaces, other])) for _ in range(r.randint(1, 14))) for _ in range(400)]
    return vectors["extra"] + [u * min(n, 300) for u, n in vectors["runs"]] + texts


def merged(base, change):
    spec = copy.deepcopy(BASES[base])
    for key, value in change.items():
        spec[key] = {**spec["model"], **value} if key == "model" else value
    return spec


def checksums(spec, special, texts):
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    tokenizer.encode_special_tokens = special == "text"
    ids = [e.ids for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    sums = []
    for first in range(0, len(ids), 8):
        total = 0
        for document in ids[first : first + 8]:
            for id in [*document, len(document)]:
                total = (total * 31 + id + 1) % 2**32
        sums.append(total)
    return sums


if __name__ == "__main__":
    texts = documents()
    variants = []
    for base, changes in (("bytes", SPLITS), ("characters", SPACES)):
        variants += [(name, base, change, "text") for name, change in changes.items()]
    for base, changes in (("bytes", ADDED), ("characters", ADDED_CHARACTERS)):
        for special in ("text", "parse"):
            variants += [(name, base, {**change, "added_tokens": added(BASES[base], GREEDY if name == "added-greedy" else {})}, special) for name, change in changes.items()]
    written = {
        "documents": texts,
        "variants": [
            {"name": name, "base": base, "change": change, "specialTokens": special, "checksums": checksums(merged(base, change), special, texts)}
            for name, base, change, special in variants
        ],
    }
    (HERE / "plans.json").write_text(json.dumps(written, ensure_ascii=True, separators=(",", ":")).replace('},{"name', '},\n{"name') + "\n")
    print(len(texts), len(variants))
