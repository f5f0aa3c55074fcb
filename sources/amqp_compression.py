"""Bodies that kombu's publishers compress, which oslo.messaging offers as `kombu_compression`.

Source: kombu's header `compression`: application/x-gzip is a zlib stream, application/x-bz2 is bzip2.
"""

import bz2
import struct
import zlib
from typing import Final

MARK: Final = b"\x0bcompressionS"  # the header's name and type in the table of headers
INFLATED_MAX: Final = 32 * 1024**2  # bytes; what is larger stays as it came, and is refused later


def inflated(properties: bytes, body: bytes) -> bytes:
    """Return the plain body; `body` itself where it is not what the properties say."""
    kind = _kind(properties)
    try:
        if kind == b"application/x-gzip":
            stream = zlib.decompressobj()
            plain = stream.decompress(body, INFLATED_MAX)
        elif kind == b"application/x-bz2":
            stream = bz2.BZ2Decompressor()
            plain = stream.decompress(body, INFLATED_MAX)
        else:
            return body
    except (zlib.error, OSError):
        return body
    return plain if stream.eof else body


def _kind(properties: bytes) -> bytes:
    at = properties.find(MARK)
    start = at + len(MARK) + 4
    if at < 0 or start > len(properties):
        return b""
    (length,) = struct.unpack_from(">I", properties, start - 4)
    return properties[start : start + length]
