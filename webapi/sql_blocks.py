"""ClickHouse's own compressed blocks, which its clients ask for with compress=1 and send with decompress=1.

Source: ClickHouse's wire format: CityHash128 (version 1.0.2) of the rest, then a method byte, the block's
size with these nine bytes, its size when unpacked, and the data.
"""

import struct
from typing import Final

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

_LZ4: Final = 0x82
_NONE: Final = 0x02
_HEAD: Final = struct.Struct("<BII")
_SUM: Final = struct.Struct("<QQ")
_LOW: Final = 2**64 - 1
_BLOCK: Final = 1024**2  # bytes of data a block


def packed(data: bytes) -> bytes:
    """Return the data in blocks, compressed by LZ4."""
    starts = range(0, len(data), _BLOCK)
    return b"".join(_packed(data[start : start + _BLOCK]) for start in starts)


def unpacked(body: bytes, most: int) -> bytes:
    """Return what the blocks hold. Raises ValueError: broken blocks, or more than `most` bytes."""
    parts, at, total = [], 0, 0
    while at < len(body):
        data, at = _unpacked(body, at, most - total)
        total += len(data)
        parts.append(data)
    return b"".join(parts)


def _packed(data: bytes) -> bytes:
    block: bytes = lz4.block.compress(data, store_size=False)
    rest = _HEAD.pack(_LZ4, len(block) + _HEAD.size, len(data)) + block
    return _checksum(rest) + rest


def _unpacked(body: bytes, at: int, most: int) -> tuple[bytes, int]:
    start = at + _SUM.size
    if start + _HEAD.size > len(body):
        raise ValueError("a block is cut short")
    method, size, length = _HEAD.unpack_from(body, start)
    end = start + size
    if size < _HEAD.size or end > len(body):
        raise ValueError("a block is cut short")
    if length > most:
        raise ValueError(f"it holds more than {most} bytes")
    if _checksum(body[start:end]) != body[at:start]:
        raise ValueError("a block's checksum does not match")
    data = body[start + _HEAD.size : end]
    if method == _NONE:
        return data, end
    if method != _LZ4:
        raise ValueError(f"unknown method {method:#x}; LZ4 is taken")
    try:
        return bytes(lz4.block.decompress(data, uncompressed_size=length)), end
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from error


def _checksum(rest: bytes) -> bytes:
    found = CityHash128(rest)
    return _SUM.pack(found >> 64, found & _LOW)
