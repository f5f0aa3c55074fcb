"""A command of ours as a process of its own: it runs until the test ends it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROGRAM: Final = Path(sys.executable).with_name("streamgauge")
END_SECONDS: Final = 120.0


class OwnProcess:
    """What can be done with one; it works in the folder of its `log`, which is of all its starts."""

    log: Path
    process: subprocess.Popen[bytes] | None = None

    def launch(self, command: Sequence[str | Path]) -> int:
        """Start it without waiting; return its pid."""
        assert self.process is None, "it is running"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.log.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.process.pid

    def run_to_end(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run it until it ends by itself; return what it said."""
        return subprocess.run(
            command,
            cwd=self.log.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=END_SECONDS,
            check=False,
        )

    def assert_runs(self) -> None:
        """Fail with what it said last, where it has ended by itself."""
        code = self.process.poll() if self.process else None
        assert code is None, f"it ended by itself with {code}:\n{self.tail()}"

    def stop(self, seconds: float = END_SECONDS) -> int:
        """End it by SIGTERM and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(timeout=seconds)
        self.process = None
        return code

    def kill(self) -> None:
        """End it by SIGKILL, where it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def said(self) -> list[str]:
        """Return what it printed, over all its starts."""
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def tail(self) -> str:
        """Return the end of its output."""
        return self.log.read_text(errors="replace")[-3000:]
