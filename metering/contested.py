"""Message ids that come with several contents, over all places: who finds them, and who waits for them.

A place by itself sees the samples of its own resources.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from metering.batches import sample_table
from metering.draft import Draft
from metering.hashes import hashed
from metering.memory import U64, Mask, RecentIds
from metering.repeats import ids_of
from metering.schema import IDS

_SEVERAL: Final = np.uint64(0)  # instead of the one content
# What was read may not be stored in the end: its reader may have been killed, and definitions have changed since.
_LOOKS: Final = 1800  # each with a tick: a quarter of an hour
_MOST: Final = 100_000  # ids


class IdContents:
    """The contents of recent message ids of all places: 24 bytes an id.

    `stored` (IDS) is what the store knows. What has several contents there is told with what first comes: who
    was told before may have ended too soon to settle it.
    """

    def __init__(self, remembered_ids: int, stored: pa.Table) -> None:
        self._ids = RecentIds(remembered_ids)
        self._waiting = self._contested(stored)

    def take(self, came: pa.Table) -> pa.Table:
        """Take ids (IDS); return those that have several contents, with each of these."""
        found = pa.concat_tables([self._waiting, self._contested(came)])
        self._waiting = IDS.empty_table()
        return found

    def _contested(self, came: pa.Table) -> pa.Table:
        names, contents = hashed(came["message_id"]), came["content"].to_numpy()
        known, seen = self._ids.get(names)
        contested = (seen & (known != contents)) | _differing(names, contents)
        self._ids.put(names, np.where(contested, _SEVERAL, contents))
        earlier = pa.table([came["message_id"], pa.array(known)], schema=IDS)
        before = contested & seen & (known != _SEVERAL)
        return pa.concat_tables(
            [earlier.filter(pa.array(before)), came.filter(pa.array(contested))]
        )


class AwaitedIds:
    """Contested ids, each with the contents that are not stored yet, as one place sees it.

    Who settles an id before another place has stored its sample does not see that one; so each looks until
    it does.
    """

    def __init__(self) -> None:
        self._missing: dict[str, set[int]] = {}  # contents
        self._looks: dict[str, int] = {}

    def add(self, contested: pa.Table) -> None:
        """Take ids that came with several contents (IDS); of too many the first are let go of."""
        for name, content in _pairs(contested):
            self._missing.setdefault(name, set()).add(content)
            self._looks[name] = _LOOKS
        self._forget(self.names()[:-_MOST])

    def names(self) -> list[str]:
        """Return the ids."""
        return list(self._missing)

    def found(self, stored: Sequence[Draft]) -> set[str]:
        """Return the ids that are stored with all their contents, and let go of them."""
        for name, content in _pairs(ids_of(sample_table([*stored], 0))):
            self._missing.get(name, set()).discard(content)
        for name in self._looks:
            self._looks[name] -= 1
        done = {name for name, missing in self._missing.items() if not missing}
        self._forget([*done, *(name for name, looks in self._looks.items() if not looks)])
        return done

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self._missing.pop(name, None)
            self._looks.pop(name, None)


def _pairs(ids: pa.Table) -> Iterator[tuple[str, int]]:
    return zip(ids["message_id"].to_pylist(), ids["content"].to_pylist(), strict=True)


def _differing(names: U64, contents: U64) -> Mask:
    """Return which rows share their name with one of another content."""
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    differing = np.zeros(len(first), bool)
    differing[which[contents != contents[first][which]]] = True
    rows: Mask = differing[which]
    return rows
