"""What NormalizeSamples, DeriveMeters and their sinks do with bundles, over a shelf."""

import pyarrow as pa

from metering.batches import drafts_of, revision_table, sample_table, touched_by
from metering.conflicts import settle
from metering.derived.deriver import Deriver
from metering.draft import Draft
from metering.elements import Tick
from metering.repeats import Sieve
from tests.shelf import Shelf

ARRIVED = 1_795_000_000  # s


class Job:
    """Takes bundles; the shelf is the store."""

    def __init__(self, deriver: Deriver) -> None:
        self.shelf = Shelf()
        self.sieve = Sieve(100_000)
        self.deriver = deriver

    def bundle(self, drafts: list[Draft], tick: Tick | None) -> None:
        """Take samples and a tick, as the steps of the job do when a bundle ends."""
        again = self.deriver.tick([tick] if tick else [], self.shelf.history)
        writes: list[pa.Table] = [again.revisions] if again else []
        if drafts:
            sifted = self.sieve.sift(sample_table(drafts, ARRIVED))
            if sifted.suspect.num_rows:
                writes += self._settled(sifted.suspect, sifted.contested)
            self.shelf.write_clean(sifted.clean)
            self.shelf.write_clean(self.deriver.take([sifted.clean]).samples)
        for rows in writes:
            self.shelf.write(rows)

    def parents(self) -> set[Draft]:
        """Return the samples that came and count."""
        return self.shelf.counting() - self.derived()

    def derived(self) -> set[Draft]:
        """Return the derived samples that count."""
        return {draft for draft in self.shelf.counting() if "derived.version" in draft.metadata}

    def _settled(self, suspect: pa.Table, contested: list[str]) -> list[pa.Table]:
        arrived = drafts_of(suspect)
        met = self.shelf.incumbents([draft for draft, _ in arrived], contested)
        settled = settle(arrived, met).writes
        if not settled:
            return []
        self.deriver.touch(touched_by([row.draft for row in settled]))
        return [revision_table(settled)]
