"""What expressions read of metadata: each distinct combination of values is numbered once."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from metering.derived.expressions import Facts
from metering.distinct import distinct
from metering.hashes import hashed
from metering.memory import NumberMap

_KNOWN: Final = 1_000_000  # metadata texts whose facts are remembered, two dozen bytes each


class FactTable:
    """The values of some metadata keys, over all metadata seen."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)
        self._numbers: dict[Any, int] = {}
        self._known = NumberMap()  # hash of a text -> number
        self.facts: list[Facts] = []
        self._number(b"{}")

    def numbers(self, metadata: pa.ChunkedArray, rows: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        """Return the number of each row's facts, of rows of a metadata column; -1 is no metadata."""
        numbers = np.zeros(len(rows), np.uint32)
        there = rows >= 0
        if not self._paths or not there.any():
            return numbers
        encoded = metadata.combine_chunks()
        codes = encoded.indices.to_numpy()[rows[there]]
        used, places = distinct(codes, len(encoded.dictionary))
        numbers[there] = self._of_texts(encoded.dictionary.take(pa.array(used)))[places]
        return numbers

    def _of_texts(self, texts: pa.Array) -> npt.NDArray[np.uint32]:
        if len(self._known) > _KNOWN:
            self._known = NumberMap()
        keys = hashed(texts)
        numbers, known = self._known.get(keys)
        if not known.all():
            fresh = np.flatnonzero(~known)
            found = [self._number(text.as_py()) for text in texts.take(pa.array(fresh))]
            numbers[fresh] = found
            self._known.put(keys[fresh], numbers[fresh])
        return numbers.astype(np.uint32)

    def _number(self, text: str | bytes) -> int:
        values = orjson.loads(text)
        facts = tuple(values.get(path) for path in self._paths)
        told = tuple((type(value), value) for value in facts)  # 1 is not True
        number = self._numbers.setdefault(told, len(self.facts))
        if number == len(self.facts):
            self.facts.append(facts)
        return number
