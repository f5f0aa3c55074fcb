"""A private MariaDB for tests, where a server has several writers: SQLite refuses the second at once.

Source: Debian's mariadb-server-core; its first user has no password, so it listens on loopback alone.
"""

import dataclasses
import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from tests.servers.rabbitmq import free_port, wait_until

# Debian has it where only root looks.
SERVER: Final = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
START_SECONDS: Final = 60.0


def is_installed() -> bool:
    """Whether Debian's package is there."""
    return SERVER is not None


@dataclasses.dataclass
class MariaDB:
    """One server with one empty database; start it once, its data goes with its folder."""

    folder: Path
    database: str
    port: int = dataclasses.field(default_factory=free_port)

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where to connect, as SQLAlchemy has it."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{self.database}?charset=utf8mb4"

    def start(self) -> None:
        """Make the data and start; returns once connections are taken."""
        self.folder.mkdir(parents=True)
        data, log = self.folder / "data", self.folder / "mariadb.log"
        own = ["--no-defaults", f"--user={getpass.getuser()}", f"--datadir={data}"]
        assert SERVER is not None, "MariaDB is not installed"
        with log.open("ab") as output:
            subprocess.run(
                ["mariadb-install-db", *own, "--auth-root-authentication-method=normal"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
                timeout=START_SECONDS,
            )
            (data / self.database).mkdir()  # an empty database is an empty folder
            self._process = subprocess.Popen(
                [SERVER, *own, *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: self._answers(log), "MariaDB to answer", START_SECONDS)

    def stop(self) -> None:
        """End it at once: nothing of it is kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _options(self) -> list[str]:
        return [
            f"--socket={self.folder / 'socket'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]

    def _answers(self, log: Path) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, log.read_text()[-3000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
