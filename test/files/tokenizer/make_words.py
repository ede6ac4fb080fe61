"""Makes words.json: small Unigram, WordPiece and WordLevel models with the settings of published tokenizers, and
checksums of the ids that Hugging Face tokenizers gives the adversarial documents with them.

usage: pip install tokenizers==0.23.3 && python make_words.py
"""
import hashlib, json, pathlib
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
import adversarial

HERE = pathlib.Path(__file__).parent
ROOT = HERE / "../../.."
CHARSMAP = json.loads((HERE / "normalizers.json").read_text())["configs"]["precompiled"]
PER_CHECKSUM = 64
PER_SCALAR_CHECKSUM = 1024

prose = [line for name in ("README.md", "CHANGELOG.md", "LICENSE") for line in (ROOT / name).read_text().splitlines() if line]
tricky = [d.decode() for group in ("mixed", "emoji", "combiningMarks") for d in adversarial.GROUPS[group]()]
PROSE = prose + tricky[:400]


def model_of(model, trainer, normalizer, pre_tokenizer):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.train_from_iterator(PROSE, trainer)
    return json.loads(tokenizer.to_str())["model"]


metaspace = lambda **changes: {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True, **changes}
sequence = lambda *parts: {"type": "Sequence", "pretokenizers": list(parts)}
normalizing = lambda *parts: {"type": "Sequence", "normalizers": list(parts)}
simple = lambda name, **members: {"type": name, **members}
replace = lambda kind, pattern, content: {"type": "Replace", "pattern": {kind: pattern}, "content": content}
bert = lambda **changes: {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True, **changes}
added = lambda id, content, **flags: {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}

unigram = model_of(
    models.Unigram(), trainers.UnigramTrainer(vocab_size=500, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False),
    None, pre_tokenizers.Metaspace(),
)
word_piece = model_of(
    models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=500, limit_alphabet=120, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False),
    normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(),
)
word_level = model_of(
    models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False),
    None, pre_tokenizers.Whitespace(),
)
# many ways of equal sums; a token listed twice; unknown text that is a token; scores that need all of their digits
ties = {
    "type": "Unigram", "unk_id": 0, "byte_fallback": False,
    "vocab": [["<unk>", 0.0], ["▁", -2.0]] + [[c, -3.0] for c in "abcdeinorst"]
    + [[c, -2.0 * len(c)] for c in ("ab", "ba", "aa", "aaa", "abab", "in", "ni", "▁a", "a▁", "es", "ss", "st", "est", "th", "the", "▁the")]
    + [["x", -12.34567890123456], ["xx", -24.691357802469133], ["xxx", -37.03703670370369], ["ab", -5.9], ["日本", -7.0], ["本日", -7.0], ["ſſ", 30.0]],
}
T5_ADDED = [added(0, "<pad>"), added(1, "</s>"), added(2, "<unk>")]
BERT_ADDED = [added(i, name) for i, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])]
T5_NEW = normalizing(CHARSMAP, simple("Strip", strip_left=False, strip_right=True), replace("Regex", " {2,}", "▁"))
ALBERT = normalizing(replace("String", "``", '"'), replace("String", "''", '"'), simple("NFKD"), simple("StripAccents"), simple("Lowercase"), CHARSMAP)
MODELS = {"unigram": unigram, "ties": ties, "word-piece": word_piece, "word-level": word_level}
SCALARS = ("t5", "albert", "ties", "unigram-words", "bert-uncased", "bert-cased", "short-words", "removed", "word-level")
SHORT_WORDS = {"max_input_chars_per_word": 5, "continuing_subword_prefix": ""}
VARIANTS = {
    "t5": dict(model="unigram", added_tokens=T5_ADDED, normalizer=CHARSMAP, pre_tokenizer=sequence(simple("WhitespaceSplit"), metaspace())),
    "t5-before": dict(model="unigram", normalizer=CHARSMAP, pre_tokenizer=sequence(simple("WhitespaceSplit"), {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True})),
    "t5-new": dict(model="unigram", added_tokens=T5_ADDED + [added(500, "<extra>", rstrip=True), added(501, "Data", special=False, normalized=True)], normalizer=T5_NEW, pre_tokenizer=metaspace(prepend_scheme="first")),
    "xlm-r": dict(model="unigram", first_byte=0, normalizer=normalizing(CHARSMAP, replace("Regex", " {2,}", " ")), pre_tokenizer=metaspace()),
    "albert": dict(model="unigram", first_byte=0xC0, normalizer=ALBERT, pre_tokenizer=metaspace()),
    "gemma-like": dict(model="unigram", first_byte=0, normalizer=replace("String", " ", "▁"), pre_tokenizer=None),
    "llama-like": dict(model="unigram", normalizer=normalizing(simple("Prepend", prepend="▁"), replace("String", " ", "▁")), pre_tokenizer=None),
    "never": dict(model="unigram", normalizer=None, pre_tokenizer=metaspace(prepend_scheme="never", split=False)),
    "ties": dict(model="ties", normalizer=None, pre_tokenizer=metaspace()),
    "ties-whole": dict(model="ties", normalizer=None, pre_tokenizer=metaspace(split=False)),
    "unigram-words": dict(model="unigram", normalizer=simple("Nmt"), pre_tokenizer=simple("BertPreTokenizer")),
    "bert-uncased": dict(model="word-piece", added_tokens=BERT_ADDED, normalizer=bert(), pre_tokenizer=simple("BertPreTokenizer")),
    "bert-cased": dict(model="word-piece", added_tokens=BERT_ADDED + [added(500, "Data", special=False, single_word=True)], normalizer=bert(lowercase=False), pre_tokenizer=simple("BertPreTokenizer")),
    "short-words": dict(model="word-piece", changes=SHORT_WORDS, normalizer=simple("Lowercase"), pre_tokenizer=sequence(simple("WhitespaceSplit"), simple("Digits", individual_digits=True), simple("Punctuation", behavior="Contiguous"))),
    "removed": dict(model="word-piece", normalizer=simple("NFKC"), pre_tokenizer=sequence(simple("Punctuation", behavior="Removed"), simple("Whitespace"), simple("Digits", individual_digits=False))),
    "no-words": dict(model="word-piece", normalizer=None, pre_tokenizer=None),
    "word-level": dict(model="word-level", normalizer=None, pre_tokenizer=simple("Whitespace")),
}


def spec(model, normalizer, pre_tokenizer, added_tokens=(), changes={}, first_byte=None):
    if first_byte is not None:  # tokens of the bytes from there on, for unknown text
        tokens = [[f"<0x{byte:02X}>", -20.0] for byte in range(first_byte, 256)]
        changes = {"byte_fallback": True, "vocab": MODELS[model]["vocab"] + tokens}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added_tokens), "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None, "model": {**MODELS[model], **changes},
    }


def checksums(tokenizer, documents, per_checksum):
    texts = [document.decode("utf-8", errors="replace") for document in documents]
    lines = [",".join(map(str, e.ids)) for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    parts = ["\n".join(lines[first:first + per_checksum]) for first in range(0, len(lines), per_checksum)]
    return [hashlib.sha256(part.encode()).hexdigest()[:12] for part in parts]


def as_read(written):
    scores = ",".join(f'["t{i}",{number}]' for i, number in enumerate(written))
    made = json.dumps(spec("ties", None, None)).replace(json.dumps(ties["vocab"]), f'[["<unk>",0.0],{scores}]')
    return [score for _, score in json.loads(Tokenizer.from_str(made).to_str())["model"]["vocab"][1:]]


# digits as a trainer writes them, more than an integer of 64 bits holds, exponents
digits = [hashlib.sha512(bytes([i])).hexdigest().translate({ord(c): None for c in "abcdef"}) for i in range(60)]
written = [f"-{d[0]}.{d[1:12 + i % 14]}" for i, d in enumerate(digits)]
written += [f"{d[:3].lstrip('0') or 7}.{d[3:9]}e-{i}" for i, d in enumerate(digits[:20])]
written += ["-0.0", "1e-320", "1E+3", "-12", "18446744073709551615.5", "0.00000000000000000000000000001234567890123456789"]
decimals = list(map(list, zip(written, as_read(written))))
groups, scalars = {}, {}
documents = {group: make() for group, make in adversarial.GROUPS.items()}
every = adversarial.every_scalar(adversarial.CONTEXTS["doubled"])
for name, variant in VARIANTS.items():
    tokenizer = Tokenizer.from_str(json.dumps(spec(**variant), ensure_ascii=False))
    tokenizer.encode_special_tokens = True
    groups[name] = {group: checksums(tokenizer, made, PER_CHECKSUM) for group, made in documents.items()}
    if name in SCALARS:
        scalars[name] = checksums(tokenizer, every, PER_SCALAR_CHECKSUM)
    print(name, flush=True)
text = json.dumps({"decimals": decimals, "models": MODELS, "variants": VARIANTS, "groups": groups, "scalars": scalars}, separators=(",", ":"), ensure_ascii=True)
(HERE / "words.json").write_text(text.replace('},"', '},\n"') + "\n")
