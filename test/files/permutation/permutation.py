"""The permutation of src/lib/permutation.ts from its description alone, in exact integers: prints the pinned images.

    python3 test/files/permutation/permutation.py > test/files/permutation/images.json
"""

import hashlib
import json
import math

MASK = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def key_of(seed, name):
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in (0, 4)]


def small(size, key):
    images = list(range(size))
    for i in range(size - 1, 0, -1):
        other = (i + 1) * philox([i, 0, 3, 0], key)[0] >> 32
        images[i], images[other] = images[other], images[i]
    return images


def lowbias32(x, p, q):
    x ^= p
    x = (x ^ x >> 16) * 0x7FEB352D & MASK
    x = (x ^ x >> 15 ^ q) * 0x846CA68B & MASK
    return x ^ x >> 16


def image(size, key, index):
    if size <= 256:
        return small(size, key)[index]
    a = math.isqrt(size - 1) + 1
    b = -(-size // a)
    words = [word for block in range(4) for word in philox([block, 0, 2, 0], key)]
    while True:
        l, r = divmod(index, b)
        for i in range(0, 8, 2):
            l = (l + (a * lowbias32(r, words[2 * i], words[2 * i + 1]) >> 32)) % a
            r = (r + (b * lowbias32(l, words[2 * i + 2], words[2 * i + 3]) >> 32)) % b
        index = l * b + r
        if index < size:
            return index


cases = []
for size in [1, 2, 10, 256, 257, 1000, 65_537, 10**8, 2**32 + 15, 2**40]:
    key = key_of(7, f"select/books/{size}")
    indices = sorted(i for i in {0, 1, 2, size // 3, size // 2, size - 1} if i < size)
    cases.append({"seed": 7, "name": f"select/books/{size}", "size": size, "indices": indices,
                  "images": [image(size, key, i) for i in indices]})
print(json.dumps(cases, indent=1))
