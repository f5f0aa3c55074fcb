"""A store for laws: the rows of the table `samples` as a dict, with the store's own rules."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from metering.batches import drafts_of, revision_table
from metering.conflicts import Stored
from metering.draft import Draft
from metering.schema import SAMPLES
from store.rows import sample_rows

Place = tuple[str, str, str, int, int]


class Shelf:
    """Keeps the row of each place with the highest version, as ReplacingMergeTree does."""

    def __init__(self) -> None:
        self.rows: dict[Place, Stored] = {}

    def write(self, rows: pa.Table) -> None:
        """Take rows (REVISIONS)."""
        extra = [rows[name].to_pylist() for name in ("variant", "version", "is_deleted", "late")]
        for (draft, at), variant, version, deleted, late in zip(
            drafts_of(rows), *extra, strict=True
        ):
            place = (draft.meter, draft.project_id, draft.resource_id, draft.timestamp, variant)
            if place not in self.rows or self.rows[place].version <= version:
                self.rows[place] = Stored(draft, at, variant, version, not deleted, late)

    def write_clean(self, samples: pa.Table) -> None:
        """Take samples (SAMPLES)."""
        self.write(sample_rows(samples))

    def incumbents(self, drafts: Sequence[Draft], contested: Sequence[str]) -> list[Stored]:
        """Return what these may meet, directly or through others (as store.incumbents)."""
        moments = {_moment(draft) for draft in drafts}
        ids = set(contested)
        while True:
            found = [
                row
                for row in self.rows.values()
                if _moment(row.draft) in moments or row.draft.message_id in ids
            ]
            reached = {_moment(row.draft) for row in found} - moments
            named = {row.draft.message_id for row in found if not row.counts} - ids
            if not reached and not named:
                return found
            moments |= reached
            ids |= named

    def history(self, since: pa.Table) -> pa.Table:
        """Return what counts of these series (TOUCHED) from a moment on, and the moment before it."""
        moments = since["timestamp"].cast(pa.int64()).to_pylist()
        series = zip(since["meter"].to_pylist(), since["resource_id"].to_pylist(), strict=True)
        found: list[Stored] = []
        for (meter, resource), moment in zip(series, moments, strict=True):
            rows = [
                row
                for row in self.rows.values()
                if row.counts and (row.draft.meter, row.draft.resource_id) == (meter, resource)
            ]
            earlier = [row.draft.timestamp for row in rows if row.draft.timestamp < moment]
            first = max(earlier, default=moment)
            found += [row for row in rows if row.draft.timestamp >= first]
        found.sort(key=lambda row: (*_moment(row.draft), row.draft.volume, row.draft.message_id))
        table = revision_table(found).select(SAMPLES.names)
        return table if found else SAMPLES.empty_table()

    def counting(self) -> set[Draft]:
        """Return the samples that count."""
        return {row.draft for row in self.rows.values() if row.counts}


def _moment(draft: Draft) -> tuple[str, str, int]:
    return (draft.meter, draft.resource_id, draft.timestamp)


def counted_by_the_rules(drafts: Iterable[Draft]) -> tuple[set[Draft], set[Draft]]:
    """Return what counts and what conflicts, the slow way: of each id the least, of a moment the most."""
    by_id: dict[str, set[Draft]] = {}
    for draft in drafts:
        by_id.setdefault(draft.message_id, set()).add(draft)

    def content(d):
        return (
            d.volume,
            d.meter,
            d.type,
            d.unit,
            d.project_id,
            d.user_id,
            d.resource_id,
            d.source,
            d.metadata,
            d.timestamp,
        )

    least = {min(variants, key=content) for variants in by_id.values()}
    conflicts = {draft for variants in by_id.values() for draft in variants} - least
    counting = {draft for draft in least if draft.type == "delta"}
    moments: dict[object, list[Draft]] = {}
    for draft in least - counting:
        moments.setdefault((draft.meter, draft.resource_id, draft.timestamp), []).append(draft)
    for rivals in moments.values():
        counting.add(max(rivals, key=lambda d: (d.volume, d.message_id)))
    return counting, conflicts
