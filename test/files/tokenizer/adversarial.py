"""The documents of test/tokenizer/adversarial.ts, byte for byte, for the reference implementations."""
import json, pathlib

P = json.loads((pathlib.Path(__file__).parent / "adversarial.json").read_text())
LAST_SCALAR = 0x10FFFF


class Random:
    """xorshift32"""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        x = self.state
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self.state = x
        return x % limit

    def of(self, items):
        return items[self.below(len(items))]

    def join(self, most, part):
        return "".join(part() for _ in range(1 + self.below(most)))


def is_scalar(code):
    return not 0xD800 <= code <= 0xDFFF


def cases(suffix):
    upper = lambda c: c.upper() if c <= "z" else c
    return ["".join(upper(c) if bits & 1 << i else c for i, c in enumerate(suffix)) for bits in range(1 << len(suffix))]


def contractions():
    return [
        before + apostrophe + suffix + after
        for apostrophe in ("'", "\u2019")
        for suffix in [c for s in P["suffixes"] for c in cases(s)]
        for before in ("", "a", "Q", " ", "1", "\n", "\u00e9")
        for after in ("", "x", " y", "\u0301")
    ]


def line_ends():
    return [
        made
        for text in P["lineTexts"]
        for end in P["lineEnds"]
        for made in [text[:at] + end + text[at:] for at in range(len(text) + 1)] + [end + text + end, end * 3 + text]
    ]


def runs():
    return [made for u in P["runUnits"] for n in P["runLengths"] for made in (u * n, "x" + u * n, u * n + "x")]


def emoji(r):
    return [r.join(12, lambda: r.of(P["emoji"]) + r.of(P["emojiJoints"])) for _ in range(150)]


def combining_marks(r):
    mark = lambda: chr(0x300 + r.below(0x70))
    return [r.join(6, lambda: r.of(P["letters"]) + r.join(20, mark)) for _ in range(150)]


def scripts(r):
    def character(ranges):
        first, last = ranges[0] if r.below(4) > 0 else r.of(ranges)
        return chr(first + r.below(last - first + 1))

    return [r.join(60, lambda: character(P["scripts"][i % len(P["scripts"])])) for i in range(240)]


def special_tokens(r):
    return [r.join(5, lambda: r.of(P["specials"]) + r.of(["", " ", "\n", "a", "1"])) for _ in range(120)]


def mixed(r):
    return [r.join(30 if i < 800 else 400, lambda: r.of(P["tricky"])) for i in range(900)]


def random_scalars(r):
    limits = [0x80, 0x800, 0x3000, 0x10000, LAST_SCALAR + 1]

    def character(limit):
        code = r.below(limit)
        return chr(code if is_scalar(code) else code - 0xD800)

    return [r.join(60, lambda: character(limits[i % len(limits)])) for i in range(250)]


def invalid_utf8(r):
    random_bytes = [bytes(r.below(256) for _ in range(1 + r.below(40))) for _ in range(60)]
    cut = lambda: r.of(P["tricky"]).encode() if r.below(2) > 0 else bytes(r.of(P["broken"]))
    return random_bytes + [b"".join(cut() for _ in range(1 + r.below(12))) for _ in range(240)]


def unspaced(r):
    letters = "".join(chr(0x61 + r.below(26)) for _ in range(4000))
    han = "".join(chr(0x4E00 + r.below(0x5200)) for _ in range(4000))
    return ["zqxj" * 250_000, letters * 250, han * 83, "e\u0301" * 333_333, "-=" * 500_000]


def utf8(texts):
    return [text.encode() for text in texts]


GROUPS = {
    "contractions": lambda: utf8(contractions()),
    "lineEnds": lambda: utf8(line_ends()),
    "runs": lambda: utf8(runs()),
    "emoji": lambda: utf8(emoji(Random(1))),
    "combiningMarks": lambda: utf8(combining_marks(Random(2))),
    "scripts": lambda: utf8(scripts(Random(3))),
    "specialTokens": lambda: utf8(special_tokens(Random(4))),
    "mixed": lambda: utf8(mixed(Random(5))),
    "randomScalars": lambda: utf8(random_scalars(Random(6))),
    "invalidUtf8": lambda: invalid_utf8(Random(7)),
    "unspaced": lambda: utf8(unspaced(Random(8))),
}

CONTEXTS = {
    "together": lambda c: c,
    "afterLetter": lambda c: "a" + c,
    "afterSpace": lambda c: " " + c,
    "beforeDigit": lambda c: c + "1",
    "doubled": lambda c: "." + c + c,
}


def every_scalar(context, per_document=32):
    return [
        "".join(context(chr(code)) for code in range(first, first + per_document)).encode()
        for first in range(0, LAST_SCALAR + 1, per_document)
        if is_scalar(first)
    ]


def checksum(encoded):
    """One number for the counts and ids of documents, which changes with each of them and with their order."""
    total = 0
    for ids in encoded:
        total = (total * 31 + len(ids)) & 0xFFFFFFFF
        for id in ids:
            total = (total * 31 + id) & 0xFFFFFFFF
    return total


def checksums(encoded, per_checksum=256):
    return [checksum(encoded[first : first + per_checksum]) for first in range(0, len(encoded), per_checksum)]
