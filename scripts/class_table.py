"""What the scripts that freeze Unicode tables share: asking tiktoken's regex engine, and writing a table of scalar values."""
import base64
import tiktoken

SCALARS = 0x110000
TEXT = "".join(chr(c) for c in range(SCALARS) if not 0xD800 <= c < 0xE000)
BYTES = {bytes([i]): i for i in range(256)}


def matches(pattern):
    """Code points that a pattern of one character matches, as tiktoken's engine has it."""
    # text that matches nowhere yields no token: what comes out is the class
    encoding = tiktoken.Encoding("class", pat_str=pattern, mergeable_ranks=BYTES, special_tokens={})
    for start in range(0, len(TEXT), 65536):
        yield from map(ord, bytes(encoding.encode_ordinary(TEXT[start:start + 65536])).decode())


def varint(n):
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def runs(classes):
    """Class byte and length, as a varint, of each run of scalar values of one class."""
    out, start = bytearray(), 0
    for i in range(1, SCALARS + 1):
        if i == SCALARS or classes[i] != classes[start]:
            out += bytes([classes[start]]) + varint(i - start)
            start = i
    return bytes(out)


def lines(data):
    """Base64 as the lines of a TypeScript array."""
    encoded = base64.b64encode(data).decode()
    return "\n".join(f'  "{encoded[i:i + 114]}",' for i in range(0, len(encoded), 114))
