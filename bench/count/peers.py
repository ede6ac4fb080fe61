"""The peers that are Python packages, one a run. Prints one line of JSON.

peers.py versions                                    which of them are installed
peers.py write TEXT INDEX FOLDER REPETITIONS         FOLDER/DOMAIN/*.parquet of the text, for the end-to-end part
peers.py count PEER VOCABULARY FOLDER TEXT INDEX     counts all documents twice, one thread, from memory
peers.py end-to-end PEER VOCABULARY FOLDER DATA WORKERS SCRATCH   tokens per domain of DATA/DOMAIN/*.parquet

FOLDER of the last two holds VOCABULARY.json, and VOCABULARY.tiktoken where there are ranks.
"""
import base64, collections, importlib.metadata, json, os, pathlib, sys, time

PACKAGES = ["gigatoken", "awkward", "pyarrow", "tiktoken", "tokenizers", "datatrove", "datasets"]
SHARD_BYTES, ROW_GROUP_ROWS = 16_000_000, 500
GIGATOKEN_SCHEME = {"r50k": "gpt2", "cl100k": "gpt4", "o200k": "o200k"}


def versions():
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def documents(text_path, index_path):
    text, index = pathlib.Path(text_path).read_bytes(), json.loads(pathlib.Path(index_path).read_text())
    at = 0
    for length, domain in zip(index["lengths"], index["domainOf"]):
        yield text[at : at + length], index["domains"][domain]
        at += length


def write(text_path, index_path, folder, repetitions):
    import pyarrow as pa, pyarrow.parquet as pq

    by_domain = collections.defaultdict(list)
    for text, domain in documents(text_path, index_path):
        by_domain[domain].append(text)
    for domain, texts in by_domain.items():
        target = pathlib.Path(folder) / domain
        target.mkdir(parents=True)
        shards, size = [[]], 0
        for text in texts:
            if size >= SHARD_BYTES:
                shards.append([])
                size = 0
            shards[-1].append(text)
            size += len(text)
        for repetition in range(int(repetitions)):
            for number, shard in enumerate(shards):
                # ids differ, so that no two files are the same to whoever keeps counts by content
                ids = [f"{domain}/{repetition}/{number}/{i}" for i in range(len(shard))]
                columns = {"id": ids, "text": pa.array(shard, pa.binary()).cast(pa.string()), "domain": [domain] * len(shard)}
                path = target / f"part-{repetition:02}-{number:03}.parquet"
                pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return {"files": sum(1 for _ in pathlib.Path(folder).rglob("*.parquet"))}


def gigatoken(vocabulary, folder):
    import gigatoken

    if vocabulary in GIGATOKEN_SCHEME:
        return gigatoken.Tokenizer.from_tiktoken(f"{folder}/{vocabulary}.tiktoken", GIGATOKEN_SCHEME[vocabulary])
    return gigatoken.Tokenizer(f"{folder}/{vocabulary}.json")


def tokenizers(vocabulary, folder):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/{vocabulary}.json")
    tokenizer.encode_special_tokens = True
    return tokenizer


def tiktoken(vocabulary, folder):
    import tiktoken, tiktoken_ext.openai_public as published

    spec = json.loads(pathlib.Path(f"{folder}/{vocabulary}.json").read_text())
    if vocabulary in GIGATOKEN_SCHEME:
        published.load_tiktoken_bpe = lambda *_, **__: {}
        published.check_file = lambda *_, **__: None
        published.data_gym_to_mergeable_bpe_ranks = lambda *_, **__: {}
        pattern = getattr(published, f"{vocabulary}_base")()["pat_str"]
    else:
        pattern = spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    byte_of = {**{chr(byte): byte for byte in visible}, **{chr(256 + i): byte for i, byte in enumerate(hidden)}}
    ranks = {bytes(byte_of[character] for character in token): id for token, id in spec["model"]["vocab"].items()}
    return tiktoken.Encoding(vocabulary, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def batches(items, size):
    return (items[first : first + size] for first in range(0, len(items), size))


def counter(peer, vocabulary, folder, texts):
    """A function that counts all the texts."""
    if peer == "gigatoken":
        import awkward

        encoder = gigatoken(vocabulary, folder)
        count = lambda batch: int(awkward.sum(awkward.num(encoder.encode_batch(batch, parallel=False))))
        return lambda: sum(count(batch) for batch in batches(texts, 4000))
    texts = [text.decode() for text in texts]
    if peer == "tiktoken":
        encoding = tiktoken(vocabulary, folder)
        return lambda: sum(len(encoding.encode_ordinary(text)) for text in texts)
    tokenizer = tokenizers(vocabulary, folder)
    count = lambda batch: sum(len(e.ids) for e in tokenizer.encode_batch_fast(batch, add_special_tokens=False))
    return lambda: sum(count(batch) for batch in batches(texts, 1000))


def count(peer, vocabulary, folder, text_path, index_path):
    os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"
    texts = [text for text, _ in documents(text_path, index_path)]
    started = time.perf_counter()
    run = counter(peer, vocabulary, folder, texts)
    result = {"loadSeconds": time.perf_counter() - started, "seconds": [], "tokens": []}
    for _ in range(2):
        started = time.perf_counter()
        result["tokens"].append(run())
        result["seconds"].append(time.perf_counter() - started)
    return result


def gigatoken_end_to_end(vocabulary, folder, paths, workers, scratch):
    import awkward, gigatoken as package, pyarrow.parquet as pq

    source = package.ParquetFileSource([str(path) for path in paths], column="text")
    counts = awkward.to_numpy(awkward.num(gigatoken(vocabulary, folder).encode_files(source, parallel=workers > 1)))
    tokens, at = collections.Counter(), 0
    for path in paths:
        rows = pq.ParquetFile(path).metadata.num_rows
        tokens[path.parent.name] += int(counts[at : at + rows].sum())
        at += rows
    return tokens


def datatrove_end_to_end(vocabulary, folder, paths, workers, scratch):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import TokensCounter

    reader = ParquetReader(str(paths[0].parents[1]), glob_pattern="*/*.parquet", text_key="text", id_key="id")
    steps = [reader, TokensCounter(f"{folder}/{vocabulary}.json", batch_size=1000)]
    executor = LocalPipelineExecutor(steps, tasks=workers, workers=workers, logging_dir=scratch, skip_completed=False)
    return {"all": sum(step.stats["tokens"].total for step in executor.run().stats if "tokens" in step.stats)}


def datasets_end_to_end(vocabulary, folder, paths, workers, scratch):
    import numpy
    from datasets import load_dataset

    tokenizer = tokenizers(vocabulary, folder)
    encode = lambda batch: [len(e.ids) for e in tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)]
    data = load_dataset("parquet", data_files=[str(path) for path in paths], split="train", cache_dir=scratch)
    data = data.map(lambda batch: {"tokens": encode(batch)}, batched=True, num_proc=workers, remove_columns=["id", "text"])
    table = data.with_format("numpy")
    domains, counts = numpy.asarray(table["domain"]), numpy.asarray(table["tokens"])
    return {str(domain): int(counts[domains == domain].sum()) for domain in numpy.unique(domains)}


END_TO_END = {"gigatoken": gigatoken_end_to_end, "datatrove": datatrove_end_to_end, "datasets": datasets_end_to_end}


def end_to_end(peer, vocabulary, folder, data, workers, scratch):
    # processes or threads, as many as workers: not both
    os.environ["RAYON_NUM_THREADS"] = workers if peer == "gigatoken" else "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    paths = sorted(pathlib.Path(data).glob("*/*.parquet"))
    return {"tokens": END_TO_END[peer](vocabulary, folder, paths, int(workers), scratch)}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    commands = {"versions": versions, "write": write, "count": count, "end-to-end": end_to_end}
    print("\n" + json.dumps(commands[command](*arguments)))
