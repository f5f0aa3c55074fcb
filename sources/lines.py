"""Lines of a file, plain or gzip, as a stream that knows how far it has come."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sources.feed import FeedError

_CHUNK: Final = 256 * 1024  # bytes read at once, and inflated at once
_LONGEST: Final = 64 * 1024**2  # bytes of a line; longer is no file of messages
_GZIP: Final = b"\x1f\x8b"


class Lines:
    """The lines of one file, read once; `position` is in bytes of the file as it is stored.

    Errors: a FeedError after the last line that could be read whole, saying at which byte.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0

    def __iter__(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        length = 0
        for block in self._blocks():
            first, *more = block.split(b"\n")
            parts.append(first)
            length += len(first)
            if length > _LONGEST:
                raise FeedError(f"{self.path}: a line of more than {_LONGEST} bytes")
            if more:
                yield b"".join(parts)
                yield from more[:-1]
                parts, length = more[-1:], len(more[-1])
        if length:
            yield b"".join(parts)

    def _blocks(self) -> Iterator[bytes]:
        chunks = self._chunks()
        start = next(chunks, b"")
        if start.startswith(_GZIP):
            yield from self._inflated(start, chunks)
        else:
            yield start
            yield from chunks

    def _chunks(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    self.position += len(chunk)
                    yield chunk
        except OSError as error:
            raise FeedError(f"{self.path}: cannot be read: {error}") from error

    def _inflated(self, chunk: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield all that can be had of a gzip file of any number of members."""
        inflater = None  # between members
        while True:
            if inflater is None:
                chunk = chunk.lstrip(b"\0")  # padding, as tape drives add
            chunk = chunk or next(chunks, b"")
            if not chunk:
                break
            inflater = inflater or zlib.decompressobj(wbits=31)
            before = inflater.copy()
            try:
                block = inflater.decompress(chunk, _CHUNK)
            except zlib.error:
                yield from self._up_to_damage(before, chunk)
                return
            yield block
            chunk = inflater.unconsumed_tail
            if inflater.eof:
                chunk, inflater = inflater.unused_data, None
        if inflater is not None:
            yield inflater.flush()
            raise FeedError(f"{self.path}: the gzip data ends too early, at byte {self.position}")

    def _up_to_damage(self, inflater: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
        for index in range(len(chunk)):
            try:
                yield inflater.decompress(chunk[index : index + 1])
            except zlib.error as error:
                at = self.position - len(chunk) + index
                raise FeedError(f"{self.path}: damaged at byte {at}: {error}") from error
