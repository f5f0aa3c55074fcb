"""Why a command could not do what it was asked: one clear line and the exit code."""


class CommandError(Exception):
    """The command failed; the text says what to do. Exit code 1."""

    exit_code = 1


class AwayError(CommandError):
    """The service cannot take this now (503); later it may."""


class UsageError(CommandError):
    """The command line or the configuration is wrong. Exit code 2."""

    exit_code = 2
