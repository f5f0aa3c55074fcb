"""`streamgauge replay`: files of notifications or samples, through a job of its own or a running one.

A database folder belongs to one process. Where a running service has it, the payloads go there by
HTTP and are on its disk before the next are read; otherwise the job runs here.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.client import Client
from cli.command import Showing, fields_of
from cli.configuration import add_config, loaded
from cli.errors import AwayError, UsageError

if TYPE_CHECKING:
    from jobs.settings import Config

Progress = Callable[[int, int], None]
_PATIENCE: Final = 600.0  # s, while the spool is full


class Replay(Showing):
    """Meter files of JSON lines (plain or .gz): notifications, envelopes or samples."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("file", metavar="FILE", nargs="+", type=Path)
        parser.add_argument(
            "--speed", type=_positive, metavar="X", help="times real time; as fast as it goes else"
        )
        parser.add_argument(
            "--shift-to-now", action="store_true", help="move all times so that the newest is now"
        )
        add_config(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        config = loaded(parsed_args)
        missing = [str(path) for path in parsed_args.file if not path.is_file()]
        if missing:
            raise UsageError(f"no such file: {', '.join(missing)}")
        from jobs.replay_lines import in_use

        with _progress(self.app.stderr) as progress:
            if in_use(config):
                return fields_of(self._through_the_service(config, parsed_args, progress))
            return fields_of(_here(config, parsed_args, progress))

    def _through_the_service(
        self, config: "Config", parsed: argparse.Namespace, progress: Progress
    ) -> dict[str, Any]:
        from jobs.replay_lines import batches

        client, accepted = self.client(), 0
        for batch in batches(parsed.file, parsed.speed, parsed.shift_to_now, config.api.max_body):
            accepted += _sent(client, batch.lines)
            progress(batch.done, batch.total)
        return {"payloads": accepted, "through": client.url}


def _sent(client: Client, lines: list[bytes]) -> int:
    """Send lines, again and again while the spool is full, and return how many were taken."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

    patient = Retrying(
        retry=retry_if_exception_type(AwayError),
        wait=wait_exponential(multiplier=0.1, max=5),
        stop=stop_after_delay(_PATIENCE),
        reraise=True,
    )
    answer = patient(client.post_lines, "/v1/payloads", lines)
    return int(answer["accepted"])


def _here(config: "Config", parsed: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from jobs.lean_imports import without_unused

    with without_unused():
        from jobs.service import replay

    result = replay(config, parsed.file, parsed.speed, parsed.shift_to_now, progress)
    return dataclasses.asdict(result)


@contextmanager
def _progress(stderr: Any) -> Iterator[Progress]:
    """Show a bar on stderr; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(file=stderr)
    with Bar(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("replay", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number
