"""The bare loop: ask for a page, decode it with orjson, write a RECORD message for each record."""

import sys
import time

import orjson
import urllib3


def main(url: str, *streams: str) -> None:
    pool = urllib3.PoolManager()
    write = sys.stdout.buffer.write
    for stream in streams:
        page = 1
        while records := orjson.loads(pool.request("GET", f"{url}/{stream}?page={page}&per_page=1000").data)[
            "data"
        ]:
            now = time.time_ns() // 1_000_000
            for record in records:
                message = {"type": "RECORD", "record": {"stream": stream, "data": record, "emitted_at": now}}
                write(orjson.dumps(message) + b"\n")
            page += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
