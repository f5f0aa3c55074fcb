"""`streamgauge api`."""

import argparse

from cli.command import Action
from cli.configuration import add_config, loaded
from cli.errors import CommandError, UsageError


class Api(Action):
    """Serve the API alone, on the database of a job that runs elsewhere.

    Pushes are kept in the spool and forwarded to the queue of the job's RabbitMQ feed. Ctrl-C and SIGTERM
    let it answer and forward what it has taken in, then it ends.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--feed",
            metavar="NAME",
            help="whose queue pushes go to; the configuration's only rabbitmq feed else",
        )
        add_config(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        config = loaded(parsed_args)
        from jobs.faults import ConfigError
        from jobs.lean_imports import without_unused

        with without_unused():
            from jobs.api import ApiError, run_api

        try:
            return int(run_api(config, parsed_args.feed, self.tell))
        except ConfigError as error:
            raise UsageError("\n".join(error.faults)) from error
        except ApiError as error:
            raise CommandError(str(error)) from error
