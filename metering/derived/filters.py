"""Which meters a source takes: `*`, `name`, `!name`, and globs of both, such as `disk.*` or `!disk.*`.

Source: Ceilometer's pipeline.yaml.
"""

import fnmatch
from collections.abc import Sequence


class MeterFilter:
    """The meters of a source: what is excluded is out, then what is included is in.

    Where there are only exclusions, everything else is in.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._excluded = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        self._included = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]

    def takes(self, meter: str) -> bool:
        """Return whether the source takes a meter."""
        return _is_any(meter, self._included) and not _is_any(meter, self._excluded)


def filter_fault(patterns: Sequence[str]) -> str | None:
    """Return what is wrong with a source's meters; a glob that begins with `*` goes with anything but `*`."""
    included = [pattern for pattern in patterns if pattern[0] not in "!*"]
    if included and any(pattern.startswith("!") for pattern in patterns):
        return "included and excluded meters can't stand in one source"
    if included and "*" in patterns:
        return "`*` takes every meter, so none can be included besides"
    return None


def _is_any(meter: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(meter, pattern) for pattern in patterns)
