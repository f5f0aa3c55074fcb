"""rss_mb, peak_rss_mb and memory_growth_percent: the service's memory under a steady load from another process."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.broker import QUEUE, broker, feed
from benchmarks.figures import Figure, machine
from benchmarks.scale import Scale
from benchmarks.service import Service, serving


def rss(scale: Scale) -> Iterator[Figure]:
    """Measure resident memory at the end of the load, its growth over the second half, its peak."""
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as name:
        folder = Path(name)
        with broker(folder / "rabbitmq") as server, serving(folder / "s", feed(server)) as service:
            sizes = [scale.rate, scale.seconds, scale.instances, scale.meters]
            command = [sys.executable, "-m", "benchmarks.load", server.url, QUEUE]
            load = subprocess.Popen([*command, *map(str, sizes)], stdout=subprocess.PIPE, text=True)
            idle, seen = service.memory()["VmHWM"], _watched(service, load)
            sent = int(load.communicate()[0])
            taken, peak = service.count("samples"), service.memory()["VmHWM"]
    tenth = max(len(seen) // 10, 1)
    middle = len(seen) // 2
    last = statistics.median(seen[-tenth:])
    then = statistics.median(seen[max(middle - tenth // 2, 0) :][:tenth])
    load_told = (
        f"{scale.seconds} s at {sent:,} samples/s sent; {taken:,} samples could be queried at its end,"
        f" {scale.rate * scale.seconds:,} were meant;"
        f" RabbitMQ and the load on the same machine; {machine()}"
    )
    told = f"VmRSS, median of the last tenth of {load_told}"
    yield Figure("rss_mb", round(last, 1), "MiB", told)
    growth = round((last / then - 1) * 100, 2)
    yield Figure("memory_growth_percent", growth, "%", f"from the middle to the end; {told}")
    highest = f"VmHWM from the start on, {idle:,.0f} MiB before the first sample; {load_told}"
    yield Figure("peak_rss_mb", round(peak, 1), "MiB", highest)


def _watched(service: Service, load: "subprocess.Popen[str]") -> list[float]:
    """Return the service's VmRSS once a second while the load runs."""
    seen = []
    while load.poll() is None:
        seen.append(service.memory()["VmRSS"])
        time.sleep(1)
    return seen
