"""Derived rows as samples: with the labels of their parents, and with where they come from.

Guarantee: the same parents and definition give the same sample with the same message id, on every
    machine and in every run.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import xxhash

from metering.derived.rows import Kinds, Rows
from metering.distinct import distinct
from metering.hashes import hashed, mixed
from metering.memory import SPREAD, U64, NumberMap
from metering.metadata import flatten
from metering.schema import SAMPLES
from metering.usage.labels import Numbered

PREFIX: Final = "derived:"  # of the message ids of derived samples
_KNOWN: Final = 20_000  # metadata texts that are kept
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


class Origin(NamedTuple):
    """What a sample is derived from: meters of its resource, by which version of which sink's definition."""

    sink: int
    parents: tuple[str, ...]
    version: str

    def metadata(self) -> dict[str, Any]:
        """Return what a derived sample's metadata says of it, flattened."""
        said = {"parents": list(self.parents), "version": self.version}
        flat: dict[str, Any] = orjson.loads(flatten({"derived": said}))
        return flat

    def mark(self) -> str:
        """Return the text by which metadata of samples with these parents is known."""
        return flatten({"derived": {"parents": list(self.parents)}})[1:-1]


class Lineage:
    """Makes samples of rows.

    State: metadata texts with what was added to them.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self.origins: Numbered[Origin] = Numbered()
        self._forget()

    def renamed(self, rows: Rows) -> Rows:
        """Return the rows but those that have the name of a parent: they are no derived samples."""
        pairs, which = self._pairs(rows)
        own = [
            self._kinds.labels[kind].meter in self.origins.labels[origin].parents
            for kind, origin in pairs
        ]
        kept: Rows = rows[~np.array(own, np.bool_)[which]] if any(own) else rows
        return kept

    def table(self, rows: Rows, samples: pa.Table) -> pa.Table:
        """Return rows as samples (SAMPLES), with labels of the samples they were made of."""
        columns: dict[str, Any] = {
            "volume": pa.array(rows["volume"] + 0.0),  # -0.0 is 0.0
            "timestamp": pa.array(rows["at"]).cast(SAMPLES.field("timestamp").type),
            "metadata": self._metadata(rows, samples),
            "message_id": self._message_ids(rows, samples),
        }
        for name in ("meter", "type", "unit"):
            columns[name] = self._labels(rows, name)
        lent = {"project_id": "project", "user_id": "user"}
        for name in ("project_id", "user_id", "resource_id", "source", "recorded_at"):
            columns[name] = samples[name].take(pa.array(rows[lent.get(name, "parent")]))
        return pa.table([columns[name] for name in SAMPLES.names], schema=SAMPLES)

    def _forget(self) -> None:
        self._numbers, self._texts = NumberMap(), list[str]()

    def _labels(self, rows: Rows, name: str) -> pa.DictionaryArray:
        found, which = distinct(rows["kind"], len(self._kinds.labels))
        labels = [getattr(self._kinds.labels[number], name) for number in found.tolist()]
        texts = list(dict.fromkeys(labels))
        codes = np.array([texts.index(label) for label in labels], np.int32)
        return pa.DictionaryArray.from_arrays(codes[which], pa.array(texts, pa.string()))

    def _metadata(self, rows: Rows, samples: pa.Table) -> pa.DictionaryArray:
        encoded = samples["metadata"].combine_chunks()
        codes = np.zeros(len(rows), np.int64)  # 0: no metadata
        there = rows["metadata"] >= 0
        codes[there] = encoded.indices.to_numpy()[rows["metadata"][there]] + np.int64(1)
        many, size = len(self.origins.labels), len(encoded.dictionary) + 1
        pairs, which = distinct(codes * many + rows["origin"], size * many)
        codes, origins = pairs // many - 1, pairs % many
        texts = encoded.dictionary.take(pa.array(codes, mask=codes < 0))
        if len(self._texts) > _KNOWN:
            self._forget()
        keys = mixed([hashed(texts), origins.astype(np.uint64)])
        numbers, known = self._numbers.get(keys)
        fresh = np.flatnonzero(~known)
        if len(fresh):
            numbers[fresh] = np.arange(len(self._texts), len(self._texts) + len(fresh))
            said = [origin.metadata() for origin in self.origins.labels]
            parents = texts.take(pa.array(fresh)).to_pylist()
            for text, origin in zip(parents, origins[fresh].tolist(), strict=True):
                self._texts.append(_joined(text, said[origin]))
            self._numbers.put(keys[fresh], numbers[fresh])
        dictionary = pa.array([self._texts[number] for number in numbers.tolist()], pa.string())
        return pa.DictionaryArray.from_arrays(which.astype(np.int32), dictionary)

    def _message_ids(self, rows: Rows, samples: pa.Table) -> pa.Array:
        """Return a name for each: of its parents' series, its meter, the definition and the time."""
        resources = samples["resource_id"].combine_chunks()
        codes = resources.indices.to_numpy()[rows["parent"]]
        used, places = distinct(codes, len(resources.dictionary))
        of_resource = _digests(resources.dictionary.take(pa.array(used)).to_pylist())
        pairs, which = self._pairs(rows)
        of_origin = _digests([self._named(*pair) for pair in pairs])
        lanes = np.empty((len(rows), 2), "<u8")
        for lane in range(2):
            parts = [of_resource[places, lane], of_origin[which, lane]]
            parts += [rows["at"].view(np.uint64), rows["nth"].astype(np.uint64)]
            lanes[:, lane] = _folded(parts)
        return _hex_texts(PREFIX.encode(), lanes)

    def _pairs(self, rows: Rows) -> tuple[list[tuple[int, int]], npt.NDArray[np.int64]]:
        """Return the distinct pairs of kind and origin, and which of them each row has."""
        many = max(len(self.origins.labels), 1)
        codes = rows["kind"] * np.int64(many) + rows["origin"]
        found, which = distinct(codes, len(self._kinds.labels) * many)
        return [divmod(code, many) for code in found.tolist()], which

    def _named(self, kind: int, origin: int) -> str:
        about = self.origins.labels[origin]
        return "\x1f".join((self._kinds.labels[kind].meter, *about.parents, about.version))


def _joined(text: str | None, said: dict[str, Any]) -> str:
    """Return metadata (canonical and flat) with some more keys, as canonical text."""
    values = {} if text is None else orjson.loads(text)
    return orjson.dumps(values | said, option=orjson.OPT_SORT_KEYS).decode()


def _folded(parts: list[U64]) -> U64:
    """Return one number a row of several, of which every bit reaches every bit."""
    total = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        total = (total ^ part) * SPREAD
        total ^= total >> np.uint64(32)
    return total


def _digests(texts: list[str]) -> npt.NDArray[np.uint64]:
    """Return two 64-bit numbers a text."""
    digests = b"".join(xxhash.xxh3_128_digest(text.encode()) for text in texts)
    return np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)


def _hex_texts(prefix: bytes, lanes: npt.NDArray[np.uint64]) -> pa.Array:
    """Return the prefix and the hex digits of each row's numbers."""
    octets = lanes.view(np.uint8).reshape(len(lanes), 16)
    width = len(prefix) + 32
    letters = np.empty((len(lanes), width), np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    letters[:, len(prefix) :: 2] = _HEX[octets >> 4]
    letters[:, len(prefix) + 1 :: 2] = _HEX[octets & 15]
    offsets = np.arange(len(lanes) + 1, dtype=np.int32) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters))]
    return pa.Array.from_buffers(pa.string(), len(lanes), buffers)
