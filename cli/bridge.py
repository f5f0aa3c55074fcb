"""`streamgauge bridge`: a process of its own, not through the API."""

import argparse
from pathlib import Path

from cli.command import Action
from cli.configuration import add_config, loaded
from cli.errors import CommandError, UsageError


class Bridge(Action):
    """Forward the notifications of a RabbitMQ to a Google Pub/Sub topic, until it is stopped.

    Each is acknowledged to RabbitMQ once Pub/Sub has confirmed it. Ctrl-C and SIGTERM let it forward
    what it has taken in, then it ends.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--topic", metavar="NAME", required=True, help="or projects/PROJECT/topics/NAME"
        )
        parser.add_argument("--project", help="of the topic; the credentials' own otherwise")
        parser.add_argument(
            "--credentials",
            metavar="FILE",
            type=Path,
            help="JSON; what google-auth finds otherwise",
        )
        parser.add_argument(
            "--endpoint",
            help="HOST[:PORT], or http://HOST:PORT of an emulator; the global one else",
        )
        parser.add_argument(
            "--feed",
            metavar="NAME",
            help="which feed of the configuration; its only rabbitmq one else",
        )
        parser.add_argument(
            "--aside",
            metavar="DIR",
            type=Path,
            default=Path("data/bridge"),
            help="where messages are kept that Pub/Sub cannot take (default data/bridge)",
        )
        add_config(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        config = loaded(parsed_args)
        from jobs.bridge import Way, run_bridge
        from jobs.faults import ConfigError
        from jobs.forwarding import ForwardingError

        names = ("topic", "project", "endpoint", "credentials", "feed", "aside")
        way = Way(**{name: getattr(parsed_args, name) for name in names})
        try:
            return int(run_bridge(config, way, self.tell))
        except ConfigError as error:
            raise UsageError("\n".join(error.faults)) from error
        except ForwardingError as error:
            raise CommandError(str(error)) from error
