"""What the book reads from the store, between two bundles: changes, and samples that its alarms look at.

Guarantee: what was given to the store before is read, what comes after is not: each sample counts once. Where
    others write, what was read may come afterwards: it is told by metering.alarms.book_ahead.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa

from metering.alarms.book_ahead import Ahead
from metering.alarms.book_entries import Entry
from metering.alarms.book_roster import Roster
from metering.alarms.book_shelf import Changes, Recalled, Shelf, ShelfAwayError
from metering.alarms.buckets_partials import Row, rows_of
from metering.alarms.buckets_verdicts import BEFORE_ALL, NEVER, Moment
from metering.alarms.evaluation import Part
from metering.alarms.evaluation_absence import SequenceEvaluator
from metering.alarms.evaluation_events import Event, EventMatcher, Role, traits_of
from metering.alarms.matching import Matcher
from metering.alarms.rules import AbsenceRule
from metering.alarms.states import ALARM, AlarmState
from metering.hashes import hashed, series_keys
from metering.schema import TOUCHED

_DAY: Final = 86_400_000  # ms; how far back firsts without a second are looked for
_KEPT: Final = (
    3_600_000  # ms; as metering.alarms.buckets keeps more where no watermark says otherwise
)
_PLAIN: Final = TOUCHED.set(2, pa.field("timestamp_min", pa.int64()))

_Holder = tuple[Entry, Part, int, int]  # with the series, and how far back (ms) is looked


class Reader:
    """Keeps a roster as the store has it."""

    def __init__(self, roster: Roster, shelf: Shelf, ahead: Ahead | None = None) -> None:
        self._roster, self._shelf, self._ahead = roster, shelf, ahead
        self._since = 0
        self._started = False
        self._unread: dict[str, Entry] = {}  # what they watch is to be read
        self._touched: list[pa.Table] = []

    def touch(self, series: pa.Table) -> None:
        """Take series (TOUCHED) whose stored past changed."""
        index = self._roster.matcher.index
        pairs = zip(series["meter"].to_pylist(), series["resource_id"].to_pylist(), strict=True)
        watched = [bool(index.about(meter, resource)) for meter, resource in pairs]
        if any(watched):
            self._touched.append(series.filter(pa.array(watched)))

    def read(self, moment: Moment, epoch: int) -> Iterator[Entry]:
        """Yield the alarms that are to be evaluated, as what they look at has changed."""
        with contextlib.suppress(ShelfAwayError):  # it is asked again after the next tick
            found = self._shelf.changes(self._since)
            states = self._shelf.states() if not self._started else {}
            yield from self._changed(found, states)
            self._since = found.until
            yield from self._recalled(moment, epoch)
            self._started = True
            yield from self._again(moment, epoch)

    def _changed(self, found: Changes, states: Mapping[str, AlarmState]) -> Iterator[Entry]:
        entries = self._roster.entries
        for alarm in found.alarms:
            known = entries.get(alarm.alarm_id)
            if known is not None and known.alarm.version >= alarm.version:
                continue
            if self._roster.put(alarm, states.get(alarm.alarm_id)):
                self._unread[alarm.alarm_id] = entries[alarm.alarm_id]
            elif self._started:
                yield entries[alarm.alarm_id]
            yield from self._followers(alarm.alarm_id)
        for alarm_id, version in found.deleted.items():
            if alarm_id in entries and entries[alarm_id].alarm.version < version:
                self._roster.remove(alarm_id)
                self._unread.pop(alarm_id, None)
                yield from self._followers(alarm_id)
        for state in found.states:
            entry = entries.get(state.alarm_id)
            if entry is not None and entry.state.version < state.version:
                entry.take(state)
                self._roster.unguard(entry)
                self._roster.states[state.alarm_id] = state.state
                yield from self._followers(state.alarm_id)

    def _followers(self, alarm_id: str) -> Iterator[Entry]:
        for follower in self._roster.links.followers(alarm_id):
            if follower in self._roster.entries:
                yield self._roster.entries[follower]

    def _recalled(self, moment: Moment, epoch: int) -> Iterator[Entry]:
        """Fill what is new from what is stored."""
        if not self._unread:
            return
        unread = list(self._unread.values())
        for entry in unread:
            entry.empty()
        unsure: dict[str, int] = {}
        for recalled in self._shelf.samples([one for e in unread for one in e.watched()]):
            self._fill(recalled, moment)
            for one in recalled.watched:
                at = unsure.get(one.alarm_id, recalled.unsure)
                unsure[one.alarm_id] = min(at, recalled.unsure)
        self._hear(unread, moment)
        self._unread.clear()
        for entry in unread:
            yield from self._ready(entry, unsure.get(entry.alarm.alarm_id), epoch)

    def _fill(self, recalled: Recalled, moment: Moment) -> None:
        matcher = Matcher()
        matcher.index.watch(recalled.watched)
        entries = self._roster.entries
        for one in recalled.watched:
            entries[one.alarm_id].parts[one.part].know_from(recalled.since)
        for table in recalled.tables:
            for row in self._read(matcher.partials(table)):
                part = entries[row.alarm_id].parts[row.part]
                part.add(row.series, row.bucket, row.added, moment.now)

    def _read(self, partials: pa.Table) -> Iterator[Row]:
        if self._ahead is not None:
            self._ahead.read(partials)
        return rows_of(partials)

    def _hear(self, unread: list[Entry], moment: Moment) -> None:
        """Tell those who wait for second events what is stored."""
        types, matcher, since = set[str](), EventMatcher(), moment.now
        for entry in unread:
            rule = entry.alarm.rule
            if isinstance(rule, AbsenceRule) and rule.event_type is not None:
                matcher.listen(entry.alarm)
                types |= {rule.event_type, rule.followed_by.event_type if rule.followed_by else "*"}
                in_vain = entry.state.at if entry.state.state == ALARM else moment.now
                oldest = max(min(in_vain, moment.now), moment.now - _DAY)
                since = min(since, oldest - 2 * rule.within * 1000)
        for table in self._shelf.events(sorted(types), since) if types else ():
            for event, alarm_id, role in matcher.heard(table):
                follow(self._roster.entries[alarm_id], event, role)

    def _ready(self, entry: Entry, unsure: int | None, epoch: int) -> Iterator[Entry]:
        """Yield an alarm that is to be evaluated: at a start only one with samples that may be new."""
        if self._started:
            entry.seen = BEFORE_ALL
            entry.look_from(None, epoch)
            yield entry
            return
        state, alarm = entry.state, entry.alarm
        known = state.seen > 0 and state.version >= alarm.version
        entry.seen = state.seen if known else BEFORE_ALL
        entry.look_from(max(entry.seen, unsure or BEFORE_ALL), epoch)
        # The others have been evaluated; what the watermark says of them is looked at once there is one.
        self._roster.schedule(entry, BEFORE_ALL, NEVER)
        if unsure is not None and entry.newest >= unsure:
            yield entry

    def _again(self, moment: Moment, epoch: int) -> Iterator[Entry]:
        """Read series whose past changed anew."""
        if not self._touched:
            return
        touched = pa.concat_tables(self._touched)
        oldest = touched.group_by(["meter", "resource_id"]).aggregate([("timestamp", "min")])
        rows = oldest.select(["meter", "resource_id", "timestamp_min"]).cast(_PLAIN).to_pylist()
        holders = [self._holders(row["meter"], row["resource_id"]) for row in rows]
        self._roster.gather((one for held in holders for one, *_ in held), moment, epoch)
        for row, held in zip(rows, holders, strict=True):
            row["timestamp"] = _since(row["timestamp_min"], held)
        samples = self._shelf.series(pa.Table.from_pylist(rows, TOUCHED))
        self._touched.clear()
        changed: dict[str, Entry] = {}
        for held in holders:
            for entry, part, series, _ in held:
                entry.begin(epoch, moment)
                part.drop(series)
                changed[entry.alarm.alarm_id] = entry
        for added in self._read(self._roster.matcher.partials(samples)):
            entry = self._roster.entries[added.alarm_id]
            entry.begin(epoch, moment)
            entry.parts[added.part].add(added.series, added.bucket, added.added, moment.now)
            changed[added.alarm_id] = entry
        yield from changed.values()

    def _holders(self, meter: str, resource: str) -> list[_Holder]:
        """Return the parts that may hold samples of a series."""
        hashes = hashed(pa.array([meter])), hashed(pa.array([resource]))
        series = int(series_keys(*hashes)[0])
        found = []
        for one in self._roster.matcher.index.about(meter, resource):
            entry = self._roster.entries[one.alarm_id]
            found.append((entry, entry.parts[one.part], series, one.span))
        return found


def follow(entry: Entry, event: Event, role: Role) -> None:
    """Tell an alarm that waits for events what an event is to it."""
    rule, evaluator = entry.alarm.rule, entry.evaluator
    if isinstance(rule, AbsenceRule) and isinstance(evaluator, SequenceEvaluator):
        key = traits_of(event, rule.same)
        if role == "first":
            evaluator.first(key, event.generated)
        else:
            evaluator.second(key, event.generated)


def _since(at: int, holders: list[_Holder]) -> int:
    """Return from when (ms) a series is read again: everything that is kept of it."""
    newest = (part.newest for _, part, _, _ in holders if part.newest > BEFORE_ALL)
    spans = max((span for _, _, _, span in holders), default=0)
    return max(min(at, min(newest, default=at)) - _KEPT - 2 * spans, 0)
