"""The bare loop without decoding records: the JSON text of each is passed on as it came."""

import sys
import time

import msgspec
import urllib3


class Page(msgspec.Struct):
    data: list[msgspec.Raw]


def main(url: str, *streams: str) -> None:
    pool = urllib3.PoolManager()
    decode = msgspec.json.Decoder(Page).decode
    write = sys.stdout.buffer.write
    for stream in streams:
        page = 1
        while records := decode(pool.request("GET", f"{url}/{stream}?page={page}&per_page=1000").data).data:
            head = b'{"type":"RECORD","record":{"stream":"%s","emitted_at":%d,"data":' % (
                stream.encode(),
                time.time_ns() // 1_000_000,
            )
            write(b"".join(b"%b%b}}\n" % (head, record) for record in records))
            page += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
