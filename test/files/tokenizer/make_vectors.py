"""Makes vectors.json and byte-fallback.json: counts and ids of adversarial documents by the reference implementations.

usage: pip install tokenizers==0.23.3 pyarrow && python make_vectors.py EDGE.parquet
EDGE.parquet has columns text, r50k, cl100k, o200k (tiktoken 0.14.0, encode_ordinary). The variants are put on top of
the quickstart's tokenizer and counted by Hugging Face tokenizers 0.23.3 with the text of special tokens as text.
"""
import base64, copy, json, pathlib, sys
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, normalizers, trainers

HERE = pathlib.Path(__file__).parent
BASE = json.loads((HERE / "../../../pipelines/quickstart/tokenizer-4096.json").read_text())
C = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
U, W = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
P = r"[^\r\n\p{L}\p{N}]?"
REGEX = {
    "llama3": C + "|" + P + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": C + "|" + P + r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": P + U + "*" + W + "+" + C + "?|" + P + U + "+" + W + "*" + C + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": [*parts, byte_level(False)]}


def added(first, contents, normalized):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized, "special": False}
    new = [c for c in contents if c not in BASE["model"]["vocab"]]
    id_of = lambda c: first + new.index(c) if c in new else BASE["model"]["vocab"][c]
    return BASE["added_tokens"] + [{"id": id_of(c), "content": c, **flags} for c in contents]


VARIANTS = {
    "gpt2": {},
    "llama3": {"pre_tokenizer": sequence(split(REGEX["llama3"]))},
    "llama3-whole": {"pre_tokenizer": sequence(split(REGEX["llama3"])), "model": {"ignore_merges": True}},
    "qwen2": {
        "pre_tokenizer": sequence(split(REGEX["qwen2"])), "normalizer": {"type": "NFC"},
        "added_tokens": added(4096, ["<tool>", "<tool_call>", "the"], False),
    },
    "o200k": {"pre_tokenizer": sequence(split(REGEX["o200k"]))},
    "neox": {"normalizer": {"type": "NFC"}, "added_tokens": added(4096, ["    ", "   ", "  ", "été"], True)},
    # not known to the counter: goes to the library
    "numbers-first": {"pre_tokenizer": sequence(split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(REGEX["llama3"]))},
    "gpt2-nfkc": {"normalizer": {"type": "NFKC"}},
}


def vector(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return [len(ids), sum((i + 1) * id for i, id in enumerate(ids)) % 2**32]


rows = pq.read_table(sys.argv[1]).to_pylist()
short = [r for r in rows if 0 < len(r["text"].encode()) <= 160]
long = [r for r in rows if 160 < len(r["text"].encode()) <= 2500]
chosen = short[:: max(1, len(short) // 420)] + long[:: max(1, len(long) // 60)] + [r for r in rows if not r["text"]][:1]
runs = [[" ", 3000], ["a", 4000], ["-", 6000], ["\n", 300], ["1", 700], ["é", 500], ["ab", 900]]
extra = [
    "don't DON'T Don'\u017f I'LL we'Ve it\u2019s", "a  b   c\n\n\n d \r\n\r\n", "x\u00a0\u00a0y\u0085z\ufeff", "the tool <tool_call> <tool>the</tool>",
    "    indented\n        more", "e\u0301te\u0301 \u212b \ufb01n \u1e9b\u0323", "<|endoftext|> and <|endoftext|>", "日本語テキスト123456と漢字", "\u4e2d\u6587 1234,5678.90",
]
# the reference trains a small model with byte fallback, as Llama 2's and Mistral's are
model = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
model.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
sample = [r["text"] for r in rows if r["text"].isascii()][:600] + extra * 20
model.train_from_iterator(sample, trainers.BpeTrainer(vocab_size=900, special_tokens=specials, limit_alphabet=120, max_token_length=12, show_progress=False))
fallback = json.loads(model.to_str())
fallback["added_tokens"] = fallback["added_tokens"][:3]
(HERE / "byte-fallback.json").write_text(json.dumps(fallback, ensure_ascii=False))
metaspace = copy.deepcopy(fallback)
metaspace["normalizer"] = None
metaspace["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}

tokenizers = {}
for name, change in VARIANTS.items():
    merged = copy.deepcopy(BASE)
    for key, value in change.items():
        merged[key] = {**merged["model"], **value} if key == "model" else value
    tokenizers[name] = merged
tokenizers["byte-fallback"] = fallback
tokenizers["metaspace"] = metaspace
loaded = {}
for name, spec in tokenizers.items():
    loaded[name] = Tokenizer.from_str(json.dumps(spec))
    loaded[name].encode_special_tokens = True

texts = [r["text"] for r in chosen] + extra + [unit * times for unit, times in runs]
vectors = {
    "tiktoken": [
        {"text": base64.b64encode(r["text"].encode()).decode(), **{k: r[k] for k in ("r50k", "cl100k", "o200k")}} for r in chosen
    ],
    "variants": {name: {k: v for k, v in VARIANTS.get(name, {}).items()} for name in VARIANTS},
    "metaspace": metaspace["pre_tokenizer"],
    "extra": extra,
    "runs": runs,
    "huggingface": {name: [vector(loaded[name], t) for t in texts] for name in tokenizers},
}
(HERE / "vectors.json").write_text(json.dumps(vectors, ensure_ascii=True, separators=(",", ":")) + "\n")
print(len(chosen), len(texts))
