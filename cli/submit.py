"""`streamgauge submit` and `streamgauge worker`: the job on a Flink cluster."""

import argparse
from pathlib import Path

from cli.command import Action
from cli.configuration import add_config, loaded
from cli.errors import CommandError
from cli.flink_jobs import add_master


class Submit(Action):
    """Start the job on a Flink cluster; print its id and its page once it runs.

    It goes on there when this command has ended: see `streamgauge job`.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_cluster(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return _submitted(self, parsed_args, None)


class Resume(Action):
    """Start the job on a Flink cluster again, going on from a savepoint."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_cluster(parser)
        parser.add_argument("savepoint", metavar="SAVEPOINT", help="what `job stop` printed")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return _submitted(self, parsed_args, parsed_args.savepoint)


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where and how a job runs."""
    add_master(parser)
    add_config(parser)
    parser.add_argument(
        "--worker-pool",
        metavar="HOST:PORT",
        default="127.0.0.1:50000",
        help="where `streamgauge worker` listens, as TaskManagers reach it",
    )
    parser.add_argument(
        "--artifacts",
        metavar="DIR",
        type=Path,
        default=Path("data/artifacts"),
        help="a folder that this machine and the workers share",
    )
    parser.add_argument("--parallelism", type=int, default=1, help="slots that the job takes")
    parser.add_argument(
        "--workers", type=int, help="worker processes a TaskManager; as many as slots otherwise"
    )
    parser.add_argument(
        "--checkpoint", metavar="SECONDS", type=float, default=2.0, help="time between checkpoints"
    )
    parser.add_argument(
        "--job-server", metavar="JAR", type=Path, help="what `make flink` got otherwise"
    )
    parser.add_argument("--java", metavar="PROGRAM", help="Java 17; what is found otherwise")


def _submitted(command: Action, parsed_args: argparse.Namespace, savepoint: str | None) -> int:
    """Submit, and say where the job is to be seen."""
    config = loaded(parsed_args)
    from jobs.cluster import Cluster, ClusterError, submit
    from jobs.flink_rest import Flink

    cluster = Cluster(
        master=parsed_args.flink_master,
        worker_pool=parsed_args.worker_pool,
        artifacts=parsed_args.artifacts.absolute(),
        jar=parsed_args.job_server,
        java=parsed_args.java,
        parallelism=parsed_args.parallelism,
        workers=parsed_args.workers,
        checkpoint=parsed_args.checkpoint,
        savepoint=savepoint,
    )
    try:
        job = submit(config, cluster)
    except ClusterError as error:
        raise CommandError(str(error)) from error
    print(job, file=command.app.stdout)
    print(Flink(cluster.master).page(job), file=command.app.stdout)
    return 0


class Worker(Action):
    """Serve a Flink cluster with worker processes, until it is stopped.

    They run the job with the packages that are installed here.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--listen",
            metavar="HOST:PORT",
            default="127.0.0.1:50000",
            help="loopback only: whoever reaches it may run programs here",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        from jobs.worker_pool import WorkerPoolError, run_pool

        try:
            return int(run_pool(parsed_args.listen, self.tell))
        except WorkerPoolError as error:
            raise CommandError(str(error)) from error
