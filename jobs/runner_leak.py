"""A patch of Beam's in-process runner: it keeps one lazy generator a bundle, 38 KB each, without end.

Source: apache_beam 2.77, runners/portability/fn_api_runner/fn_runner.py: `consolidate_monitoring_infos`
    is given the generator it returned for the bundle before; made a list, nothing nests.
"""

from apache_beam.runners.portability.fn_api_runner import fn_runner

_lazy = fn_runner.consolidate_monitoring_infos


def _consolidated(infos):
    return list(_lazy(infos))


def mend() -> None:
    """Make the runner keep lists. Doing it twice changes nothing."""
    fn_runner.consolidate_monitoring_infos = _consolidated
