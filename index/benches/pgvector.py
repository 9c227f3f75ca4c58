#!/usr/bin/env python3
"""What a server would do with pgvector on the vectors that `recall` wrote: python3 pgvector.py FOLDER DIM BIN [COUNT]

FOLDER has vectors.f32, queries.f32 and, without COUNT, truth.json; BIN has initdb and pg_ctl of a PostgreSQL with pgvector from
0.8 and postgres_fdw. Prints how long loading and the index take, bytes a photo, and recall@10 with the median and the 99th
percentile of a query, re-ranked by the exact vectors, at the smallest breadth with recall of 0.99; the same through filters that
half of the photos and 1 % pass; then the same with two partitions by hash on two more servers. Needs numpy and psycopg from PyPI.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import psycopg

folder, dim, programs = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
vectors = numpy.memmap(folder / "vectors.f32", dtype="<f4", mode="r").reshape(-1, dim)
queries = numpy.fromfile(folder / "queries.f32", dtype="<f4").reshape(-1, dim)
if len(sys.argv) > 4:
    vectors = vectors[: int(sys.argv[4])]
    truth = [numpy.argsort(-(vectors @ query))[:10].tolist() for query in queries]
else:
    truth = json.loads((folder / "truth.json").read_text())
BREADTHS = (40, 64, 96, 128, 192, 256, 384, 512, 768, 1000)
# A server does not run as root.
AS = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
SHARED = ("shared_buffers=2GB", "max_wal_size=16GB", "fsync=off", "listen_addresses=")


class Server:
    """A new server on a socket in a folder of its own."""

    def __init__(self, place):
        self.place = place
        place.mkdir()
        if AS:
            os.chown(place, 65534, 65534)
        self.run("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = " ".join(f"-c {option}" for option in (*SHARED, f"unix_socket_directories={place}"))
        self.run("pg_ctl", "-w", "-l", str(place / "log"), "-o", options, "start")
        self.db = psycopg.connect(host=str(place), user="postgres", dbname="postgres", autocommit=True)
        self.db.execute("CREATE EXTENSION vector")

    def run(self, program, *options):
        subprocess.run([*AS, programs / program, "-D", self.place / "data", *options], check=True, stdout=subprocess.DEVNULL, cwd=self.place)

    def stop(self):
        self.db.close()
        self.run("pg_ctl", "-m", "immediate", "stop")


COLUMNS = f"photo bigint, half boolean, hundredth integer, near halfvec({dim}), exact vector({dim})"


def load(db, table, numbers):
    """Copies these photos into a table, in PostgreSQL's binary format."""
    with db.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
        for number in numbers:
            row = vectors[number]
            head = struct.pack(">hiqibii", 5, 8, number, 1, number % 2 == 0, 4, number // 3 % 100)
            near = struct.pack(">ihh", 4 + 2 * dim, dim, 0) + row.astype(">f2").tobytes()
            copy.write(head + near + struct.pack(">ihh", 4 + 4 * dim, dim, 0) + row.astype(">f4").tobytes())
        copy.write(struct.pack(">h", -1))


def index(db, table):
    db.execute("SET maintenance_work_mem = '4GB'")
    db.execute("SET max_parallel_maintenance_workers = 1")
    db.execute(f"CREATE INDEX ON {table} USING hnsw (near halfvec_ip_ops) WITH (m = 16, ef_construction = 128)")
    db.execute(f"CREATE INDEX ON {table} (hundredth)")
    db.execute(f"VACUUM ANALYZE {table}")


def measure(name, db, where="", right=None, others=()):
    """Queries of ten photos; `right` has the numbers that are right, by query; `others` are the servers of its partitions."""
    for breadth in BREADTHS:
        for setting in (f"hnsw.ef_search = {breadth}", "hnsw.iterative_scan = relaxed_order"):
            db.execute(f"SET {setting}")
            for other in others:
                other.db.execute(f"ALTER DATABASE postgres SET {setting}")
        if others:
            db.execute("SELECT postgres_fdw_disconnect_all()")
        sql = f"""SELECT photo FROM (SELECT photo, exact FROM photos {where} ORDER BY near <#> %s::halfvec LIMIT {breadth}) AS few
                  ORDER BY exact <#> %s::vector LIMIT 10"""
        times, found = [], 0
        for warm in (True, False):
            for query, best in zip(queries, right or truth):
                text = "[" + ",".join(map(repr, query.tolist())) + "]"
                started = time.perf_counter()
                rows = db.execute(sql, (text, text), prepare=True).fetchall()
                if not warm:
                    times.append(1e3 * (time.perf_counter() - started))
                    found += len({row[0] for row in rows} & set(best))
        recall = found / 10 / len(queries)
        if recall >= 0.99 or breadth == BREADTHS[-1]:
            median, late = numpy.percentile(times, [50, 99])
            print(f"{name}: breadth {breadth}: recall@10 {recall:.4f}, query {median:.2f} ms, 99th percentile {late:.2f}", flush=True)
            return


def best_of(numbers):
    numbers = numpy.array(numbers)
    part = numpy.ascontiguousarray(vectors[numbers])
    return [numbers[numpy.argsort(-(part @ query))[:10]].tolist() for query in queries]


place = Path(tempfile.mkdtemp(prefix="pgvector-", dir=os.environ.get("TMPDIR", "/tmp")))
place.chmod(0o755)
servers = []
try:
    count = len(vectors)
    servers.append(Server(place / "one"))
    db = servers[0].db
    db.execute(f"CREATE TABLE photos ({COLUMNS})")
    started = time.perf_counter()
    load(db, "photos", range(count))
    loaded = time.perf_counter()
    index(db, "photos")
    size = db.execute("SELECT pg_total_relation_size('photos'), pg_size_pretty(pg_indexes_size('photos'))").fetchone()
    print(f"{count} photos: loaded in {loaded - started:.0f} s, indexed in {time.perf_counter() - loaded:.0f} s, "
          f"{size[0] / count:.0f} bytes a photo, of which indexes {size[1]}", flush=True)
    measure("one server", db)
    measure("a filter that half pass", db, "WHERE half", best_of(range(0, count, 2)))
    measure("a filter that 1 % pass", db, "WHERE hundredth = 7", best_of([n for n in range(count) if n // 3 % 100 == 7]))
    db.execute("DROP TABLE photos")
    db.execute("CREATE EXTENSION postgres_fdw")
    db.execute(f"CREATE TABLE photos ({COLUMNS}) PARTITION BY HASH (photo)")
    for part in range(2):
        other = Server(place / f"part{part}")
        servers.append(other)
        other.db.execute(f"CREATE TABLE part ({COLUMNS})")
        db.execute(f"""CREATE SERVER part{part} FOREIGN DATA WRAPPER postgres_fdw
                       OPTIONS (host '{other.place}', dbname 'postgres', extensions 'vector', fetch_size '50', async_capable 'true')""")
        db.execute(f"CREATE USER MAPPING FOR postgres SERVER part{part} OPTIONS (user 'postgres', password_required 'false')")
        db.execute(f"""CREATE FOREIGN TABLE part{part} PARTITION OF photos FOR VALUES WITH (MODULUS 2, REMAINDER {part})
                       SERVER part{part} OPTIONS (table_name 'part')""")
    started = time.perf_counter()
    sides = [[], []]
    hashed = "satisfies_hash_partition('photos'::regclass, 2, 1, n)"
    for number, side in db.execute(f"SELECT n, {hashed} FROM generate_series(0::bigint, {count - 1}) AS n"):
        sides[side].append(number)
    for part, numbers in enumerate(sides):
        load(servers[part + 1].db, "part", numbers)
    loaded = time.perf_counter()
    for server in servers[1:]:
        index(server.db, "part")
    print(f"two servers: loaded in {loaded - started:.0f} s, indexed in {time.perf_counter() - loaded:.0f} s", flush=True)
    db.execute("ANALYZE photos")
    measure("two partitions on two servers", db, others=servers[1:])
finally:
    for server in servers:
        server.stop()
    shutil.rmtree(place, ignore_errors=True)
