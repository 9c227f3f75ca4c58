#!/usr/bin/env python3
"""faiss and usearch on the vectors that `recall` wrote: python3 peers.py FOLDER DIM [THREADS]

FOLDER has vectors.f32, queries.f32 and truth.json. Prints for each index how long it takes to build, its bytes a vector, and
recall@10 with the median and the 99th percentile of a query on one thread, at the smallest breadth with recall of 0.99.
Needs numpy, faiss-cpu and usearch from PyPI.
"""

import json
import sys
import time
from pathlib import Path

import faiss
import numpy
import usearch
from usearch.index import Index

folder, dim = Path(sys.argv[1]), int(sys.argv[2])
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
vectors = numpy.memmap(folder / "vectors.f32", dtype="<f4", mode="r").reshape(-1, dim)
queries = numpy.fromfile(folder / "queries.f32", dtype="<f4").reshape(-1, dim)
truth = json.loads((folder / "truth.json").read_text())


def report(name, built, size, search, breadths):
    for breadth in breadths:
        times, right = [], 0
        for query, best in zip(queries, truth):
            started = time.perf_counter()
            found = search(query, breadth)
            times.append(1e3 * (time.perf_counter() - started))
            right += len(set(found) & set(best))
        recall = right / 10 / len(queries)
        if recall >= 0.99 or breadth == breadths[-1]:
            median, late = numpy.percentile(times, [50, 99])
            print(f"{name}: built in {built:.0f} s, {size:.0f} bytes a vector, breadth {breadth}: recall@10 {recall:.4f}, "
                  f"query {median:.2f} ms, 99th percentile {late:.2f}", flush=True)
            return


BREADTHS = (32, 64, 96, 128, 192, 256, 384, 512, 768)
faiss.omp_set_num_threads(threads)
for name, kind in (("faiss HNSW32 f32", "HNSW32"), ("faiss HNSW32 8 bits", "HNSW32_SQ8")):
    started = time.perf_counter()
    index = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 128
    index.train(vectors[:100_000])
    for first in range(0, len(vectors), 50_000):
        index.add(vectors[first : first + 50_000])
    built = time.perf_counter() - started
    faiss.omp_set_num_threads(1)
    faiss.write_index(index, str(folder / "peer"))
    size = (folder / "peer").stat().st_size / len(vectors)

    def search(query, breadth):
        index.hnsw.efSearch = breadth
        return index.search(query[None], 10)[1][0].tolist()

    report(name, built, size, search, BREADTHS)
    del index
    faiss.omp_set_num_threads(threads)
for kind in ("f16", "i8"):
    started = time.perf_counter()
    index = Index(ndim=dim, metric="cos", dtype=kind, connectivity=16, expansion_add=128)
    for first in range(0, len(vectors), 50_000):
        index.add(numpy.arange(first, min(first + 50_000, len(vectors))), vectors[first : first + 50_000], threads=threads)
    built = time.perf_counter() - started
    index.save(str(folder / "peer"))
    size = (folder / "peer").stat().st_size / len(vectors)

    def search(query, breadth):
        index.expansion_search = breadth
        return index.search(query, 10).keys.tolist()

    report(f"usearch {usearch.__version__} {kind}", built, size, search, BREADTHS)
    del index
