"""`streamgauge run`."""

import argparse

from cli.command import Action
from cli.configuration import add_config, loaded


class Run(Action):
    """Start everything in this process: the job, the API and the feeds.

    Ctrl-C and SIGTERM let it write and acknowledge what it has taken in, then it ends.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_config(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        config = loaded(parsed_args)
        from jobs.allocator import return_memory_soon
        from jobs.lean_imports import without_unused

        return_memory_soon()  # before the engine is loaded
        with without_unused():
            from jobs.service import run

        code: int = run(config)
        return code
