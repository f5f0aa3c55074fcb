"""HTTP's Content-Encodings that ClickHouse's clients use: lz4, zstd, gzip and deflate, both ways."""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS: Final = ("lz4", "zstd", "gzip", "deflate")


def encoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the chunks, compressed as one stream; an empty encoding leaves them as they are."""
    if not encoding:
        yield from chunks
        return
    start, add, end = _ENCODERS[encoding]()
    yield start
    for chunk in chunks:
        if data := add(chunk):
            yield data
    yield end()


def decoded(body: bytes, encoding: str, most: int) -> bytes:
    """Return the body, decompressed. Raises ValueError: an unknown encoding, a broken body, too much."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ENCODINGS:
        raise ValueError(f"unknown encoding {encoding!r}; {', '.join(ENCODINGS)} are taken")
    parts: list[bytes] = []
    total = 0
    while body:  # of some clients every block is a frame of its own
        decoder = _DECODERS[encoding]()
        try:
            data = decoder.decompress(body, most - total + 1)
        except (zlib.error, RuntimeError, EOFError, zstd.ZstdError) as error:
            raise ValueError(str(error)) from error
        total += len(data)
        if total > most:
            raise ValueError(f"it holds more than {most} bytes")
        if not decoder.eof:
            raise ValueError("it is cut short")
        parts.append(data)
        body = decoder.unused_data or b""
    return b"".join(parts)


_Encoder = tuple[bytes, Callable[[bytes], bytes], Callable[[], bytes]]


def _lz4() -> _Encoder:
    frame = lz4.frame.LZ4FrameCompressor()
    return frame.begin(), frame.compress, frame.flush


def _zstd() -> _Encoder:
    stream = zstd.ZstdCompressor()
    return b"", stream.compress, stream.flush


def _zlib(wbits: int) -> Callable[[], _Encoder]:
    def encoder() -> _Encoder:
        stream = zlib.compressobj(wbits=wbits)
        return b"", stream.compress, stream.flush

    return encoder


_ENCODERS: Final[dict[str, Callable[[], _Encoder]]] = {
    "lz4": _lz4,
    "zstd": _zstd,
    "gzip": _zlib(31),
    "deflate": _zlib(15),
}
_DECODERS: Final[dict[str, Callable[[], Any]]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": lambda: zlib.decompressobj(wbits=15),
}
