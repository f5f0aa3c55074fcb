"""Bodies that kombu's publishers compress, which oslo.messaging offers as `kombu_compression`.

Source: kombu's header `compression`; its application/x-gzip is in truth a zlib stream. (The other
    kind that oslo.messaging lists, bz2, is one that kombu does not know by that name.)
"""

import struct
import zlib
from typing import Final

MARK: Final = b"\x0bcompressionS"  # the header's name and type in the table of headers
INFLATED_MAX: Final = 32 * 1024**2  # bytes; what is larger stays as it came, and is refused later


def inflated(properties: bytes, body: bytes) -> bytes:
    """Return the plain body; `body` itself where it is not what the properties say."""
    if _kind(properties) != b"application/x-gzip":
        return body
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(body, INFLATED_MAX)
    except zlib.error:
        return body
    return plain if stream.eof else body


def _kind(properties: bytes) -> bytes:
    at = properties.find(MARK)
    start = at + len(MARK) + 4
    if at < 0 or start > len(properties):
        return b""
    (length,) = struct.unpack_from(">I", properties, start - 4)
    return properties[start : start + length]
