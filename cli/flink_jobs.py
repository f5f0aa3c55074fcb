"""`streamgauge job ...`: the jobs on a Flink cluster, through its REST."""

import argparse
import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from cli.command import Action, Listing, Showing, fields_of
from cli.errors import CommandError

if TYPE_CHECKING:
    from jobs.flink_rest import Flink


def add_master(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where Flink is."""
    parser.add_argument(
        "--flink-master",
        metavar="HOST:PORT",
        default="127.0.0.1:8081",
        help="Flink's REST (default 127.0.0.1:8081)",
    )


@contextlib.contextmanager
def flink_of(parsed_args: argparse.Namespace) -> Iterator["Flink"]:
    """Give the cluster that the options name; its errors become the command's."""
    from jobs.flink_rest import Flink, FlinkError

    try:
        yield Flink(parsed_args.flink_master)
    except FlinkError as error:
        raise CommandError(str(error)) from error


class ListJobs(Listing):
    """List the jobs that Flink knows, the newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_master(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        with flink_of(parsed_args) as flink:
            jobs = [(job.id, job.name, job.state, _time(job.started)) for job in flink.jobs()]
        return ("id", "name", "state", "started"), jobs


class ShowJob(Showing):
    """Show how a job is: its state and its checkpoints."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _of_one(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        with flink_of(parsed_args) as flink:
            job, checkpoints = flink.job(parsed_args.job), flink.checkpoints(parsed_args.job)
        last = checkpoints["latest"].get("completed") or {}
        return fields_of(
            {
                "id": job["jid"],
                "name": job["name"],
                "state": job["state"],
                "started": _time(job["start-time"]),
                "checkpoints": checkpoints["counts"]["completed"],
                "checkpoints_failed": checkpoints["counts"]["failed"],
                "restored": checkpoints["counts"]["restored"],
                "last_checkpoint": _time(last["latest_ack_timestamp"]) if last else None,
                "last_checkpoint_ms": last.get("end_to_end_duration"),
                "last_checkpoint_bytes": last.get("state_size"),
            }
        )


class JobMetrics(Action):
    """Print what a job has counted, as Prometheus reads it.

    By the names that /metrics has where the job runs in one process.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _of_one(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        from jobs.flink_metrics import metrics_text

        with flink_of(parsed_args) as flink:
            print(metrics_text(flink, parsed_args.job), end="", file=self.app.stdout)
        return 0


_CHECKPOINTS: Final = 5


class StopJob(Action):
    """End a job once what it has taken in is written and acknowledged.

    What comes meanwhile stays with its source; a later start goes on from there.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _of_one(super().get_parser(prog_name))
        parser.add_argument(
            "--savepoint", action="store_true", help="leave a savepoint, and print where it is"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        with flink_of(parsed_args) as flink:
            if parsed_args.savepoint:
                where = flink.savepoint(parsed_args.job, cancel=True)
                flink.wait_ended(parsed_args.job)
                print(where, file=self.app.stdout)
            else:
                # What one covers is acknowledged by the last but one after it that tells a reader, and is on
                # its way to the source while another is taken.
                for _ in range(_CHECKPOINTS):
                    flink.checkpoint(parsed_args.job)
                flink.cancel(parsed_args.job)
        return 0


def _of_one(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    add_master(parser)
    parser.add_argument("job", metavar="JOB", help="its id")
    return parser


def _time(ms: int) -> str:
    moment = dt.datetime.fromtimestamp(ms / 1000, dt.timezone.utc)
    return moment.isoformat(timespec="seconds")
