"""Makes normalizers.json: what Hugging Face's normalizers make of every scalar value and of the adversarial documents.

usage: pip install tokenizers==0.23.3 sentencepiece==0.2.3 && python make_normalizers.py
"""
import base64, hashlib, json, pathlib, tempfile
import sentencepiece
from tokenizers import Tokenizer, models
import adversarial

HERE = pathlib.Path(__file__).parent
# of a charsmap: one and several characters to none, one and several; a rule that begins another; control characters
RULES = [
    ("\u00c0", "A"), ("\u00e9", "e"), ("e\u0301", "e"), ("\ufb01", "fi"), ("\ufb01x", "FIX"), ("\n", " "), ("\r", " "), ("\t", " "),
    ("\u0001", ""), ("\u200b", " "), ("\ufeff", ""), ("\u3000", " "), ("\uff21", "A"), ("\u00a9", "(c)"), ("\u2026", "..."),
    ("\u0301", ""), ("\u0600", "#"), ("\u1100", "g"), ("\U0001f600", ":)"), ("\U0001f1e9", "D"), ("A\u0308", "Ae"), ("~", "\u301c"),
    ("\u0915\u094d", "k"), ("Q", "q"), ("1\u20e3", "one"), ("\u2581", "_"), ("\u00bd", "1\u20442"),
]


def field(message, wanted):
    """Bytes of the first length-delimited field of that number in a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while True:
        number, kind = divmod(varint(), 8)
        size = varint() if kind in (0, 2) else {1: 8, 5: 4}[kind]
        if kind == 0:
            continue
        if number == wanted and kind == 2:
            return message[at:at + size]
        at += size


def charsmap():
    with tempfile.TemporaryDirectory() as folder:
        tsv = pathlib.Path(folder) / "rules.tsv"
        codes = lambda text: " ".join(f"{ord(c):X}" for c in text)
        tsv.write_text("".join(f"{codes(a)}\t{codes(b)}\n" for a, b in RULES))
        (pathlib.Path(folder) / "text").write_text("abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\n" * 20)
        sentencepiece.SentencePieceTrainer.train(
            input=f"{folder}/text", model_prefix=f"{folder}/m", vocab_size=60, model_type="char",
            normalization_rule_tsv=str(tsv), hard_vocab_limit=False, minloglevel=2,
        )
        normalizer_spec = field((pathlib.Path(folder) / "m.model").read_bytes(), 3)
        return base64.b64encode(field(normalizer_spec, 2)).decode()


def bert(**changes):
    return {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True, **changes}


def replace(kind, pattern, content):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


CONFIGS = {
    **{form: {"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")},
    "precompiled": {"type": "Precompiled", "precompiled_charsmap": charsmap()},
    "bert-uncased": bert(),
    "bert-cased": bert(lowercase=False),
    "bert-accents": bert(strip_accents=True, lowercase=False, clean_text=False, handle_chinese_chars=False),
    "accents": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
    "strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "strip-left": {"type": "Strip", "strip_left": True, "strip_right": False},
    "spaces": replace("Regex", " {2,}", "\u2581"),
    "white-space": replace("Regex", r"\s+", " "),
    "three": replace("Regex", "a{2,3}", "<>"),
    "dots": replace("Regex", r"\.", "."),
    "text": replace("String", "``", '"'),
    "prepend": {"type": "Prepend", "prepend": "\u2581"},
}
CONTEXTS = {"alone": lambda c: c, "between": lambda c: f"  aE{c}\u0301 ", "before": lambda c: f"{c}\u0327\u0903", "twice": lambda c: f"\u0600{c}{c}\u0345"}
PER_CHECKSUM = 1024  # documents of 32 scalar values


def checksum(texts):
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


# beyond planes 0 and 1 nothing but ideographs, tags and unassigned characters: those are looked at without neighbours only
BELOW_PLANE_2 = (0x20000 - 0x800) // 32
documents = {context: adversarial.every_scalar(make)[:None if context == "alone" else BELOW_PLANE_2] for context, make in CONTEXTS.items()}
scalars, groups = {}, {}
for name, part in CONFIGS.items():
    tokenizer = Tokenizer.from_str(json.dumps({
        "version": "1.0", "added_tokens": [], "normalizer": part, "pre_tokenizer": None, "post_processor": None,
        "decoder": None, "truncation": None, "padding": None, "model": {"type": "WordLevel", "vocab": {"u": 0}, "unk_token": "u"},
    }))
    normalize = tokenizer.normalizer.normalize_str
    scalars[name] = {
        context: [
            checksum([normalize(document.decode()) for document in documents[context][first:first + PER_CHECKSUM]])
            for first in range(0, len(documents[context]), PER_CHECKSUM)
        ]
        for context in CONTEXTS
    }
    groups[name] = {
        group: checksum([normalize(document.decode("utf-8", errors="replace")) for document in make()])
        for group, make in adversarial.GROUPS.items() if group != "unspaced"
    }
    print(name, flush=True)
text = json.dumps({"configs": CONFIGS, "scalars": scalars, "groups": groups}, separators=(",", ":"), ensure_ascii=True)
(HERE / "normalizers.json").write_text(text.replace('},"', '},\n"') + "\n")
