"""Which chain takes which meter, and what is derived of it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metering.derived.chain import Chain
from metering.derived.rows import Kinds


class Plan:
    """The chains of a pipeline by meter, worked out once for each.

    Of several sinks that make one meter of the same meter the first in the file counts.
    """

    def __init__(self, chains: Sequence[Chain]) -> None:
        self.chains = chains
        self._places: dict[str, list[int]] = {}

    def places(self, meter: str) -> list[int]:
        """Return the places of the chains that take a meter."""
        found = self._places.get(meter)
        if found is None:
            found = self._places[meter] = self._worked_out(meter)
        return found

    def names(self, meter: str) -> list[str]:
        """Return the meters that are derived of a meter."""
        return sorted({name for at in self.places(meter) for name in self.chains[at].makes(meter)})

    def takes(self, place: int, kinds: Kinds) -> npt.NDArray[np.bool_]:
        """Return which kinds a chain takes, by number."""
        return np.array([place in self.places(kind.meter) for kind in kinds.labels], np.bool_)

    def meters(self, place: int) -> list[str]:
        """Return the meters seen that a chain takes."""
        return [meter for meter, places in self._places.items() if place in places]

    def _worked_out(self, meter: str) -> list[int]:
        places, made = [], set[str]()
        for place, chain in enumerate(self.chains):
            names = chain.makes(meter)
            if names and names.isdisjoint(made):
                places.append(place)
                made |= names
        return places
