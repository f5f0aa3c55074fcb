"""`python -m benchmarks [NAME...]`: run benchmarks, print their figures, keep them in results.json."""

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import alarms, api, clouds, flink, ingest, memory, series
from benchmarks.figures import Figure, keep
from benchmarks.month import Month
from benchmarks.scale import TINY, Scale

RESULTS = Path(__file__).parent / "results.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Benchmark:
    """What measures these figures together."""

    figures: tuple[str, ...]
    run: Callable[[Scale, Month], Iterator[Figure]]
    only_named: bool = False  # needs more than `make services` installs


BENCHMARKS = (
    Benchmark(("samples_per_s",), lambda scale, _: ingest.samples_per_s(scale)),
    Benchmark(("pubsub_samples_per_s",), lambda scale, _: ingest.pubsub_samples_per_s(scale)),
    Benchmark(("notifications_per_s",), lambda scale, _: ingest.notifications_per_s(scale)),
    Benchmark(
        (
            *("series_hour_p50_ms", "series_hour_p99_ms"),
            *("series_hour_statistics_p50_ms", "series_hour_statistics_p99_ms"),
        ),
        api.series_hour,
    ),
    Benchmark(
        ("average_1000_by_project_p50_ms", "average_1000_by_project_p99_ms"),
        api.average_by_project,
    ),
    Benchmark(("month_by_project_p50_ms", "month_by_project_p99_ms"), api.month_by_project),
    Benchmark(("bytes_per_sample",), lambda _, month: month.bytes_per_sample()),
    Benchmark(
        ("rss_mb", "memory_growth_percent", "peak_rss_mb"), lambda scale, _: memory.rss(scale)
    ),
    Benchmark(
        ("usage_samples_per_s", "state_bytes_per_series", "million_series_rss_mb"),
        lambda scale, _: series.many_series(scale),
    ),
    Benchmark(
        ("breach_to_webhook_p50_ms", "breach_to_webhook_p99_ms"),
        lambda scale, _: alarms.breach_to_webhook(scale),
    ),
    Benchmark(("alarms_throughput_ratio",), lambda scale, _: alarms.throughput_ratio(scale)),
    Benchmark(("poll_10000_servers_s",), lambda scale, _: clouds.poll_servers(scale)),
    Benchmark(
        ("flink_samples_per_s_p1", "flink_checkpoint_p50_ms"),
        lambda scale, _: flink.samples_per_s(scale, 1),
        only_named=True,
    ),
    Benchmark(
        ("flink_samples_per_s_p2",), lambda scale, _: flink.samples_per_s(scale, 2), only_named=True
    ),
    Benchmark(
        ("flink_samples_per_s_p4",), lambda scale, _: flink.samples_per_s(scale, 4), only_named=True
    ),
    Benchmark(
        ("flink_breach_to_webhook_p50_ms", "flink_breach_to_webhook_p99_ms"),
        lambda scale, _: flink.breach_to_webhook(scale),
        only_named=True,
    ),
    Benchmark(
        ("flink_start_p50_s", "flink_start_max_s"),
        lambda scale, _: flink.start_times(scale),
        only_named=True,
    ),
)
NAMES = [name for benchmark in BENCHMARKS for name in benchmark.figures]


def main(argv: list[str] | None = None) -> None:
    """Run the benchmarks that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file to merge into")
    parser.add_argument("--minutes", type=float, help="of steady load, for rss_mb (default 4)")
    parsed = parser.parse_args(argv)
    if unknown := set(parsed.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    scale = TINY if parsed.tiny else Scale()
    if parsed.minutes:
        scale = dataclasses.replace(scale, seconds=round(parsed.minutes * 60))
    with Month(scale) as month:
        for benchmark in BENCHMARKS:
            named = set(parsed.names) & set(benchmark.figures)
            if named or not (parsed.names or benchmark.only_named):
                for figure in benchmark.run(scale, month):
                    print(figure.line(), flush=True)
                    keep(figure, parsed.results)


if __name__ == "__main__":
    main()
