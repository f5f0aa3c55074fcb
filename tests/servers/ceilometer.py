"""Ceilometer's own agents for tests: the polling agent and the notification agent, as processes.

Source: its release on PyPI, in an environment of its own that `scripts/ceilometer` makes.
"""

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import amqp
import yaml

from tests.servers.openstack import PASSWORD, REGION, OpenStack, end_groups
from tests.servers.rabbitmq import RabbitServer, connect, wait_until

FOLDER: Final = Path(
    os.environ.get("STREAMGAUGE_CEILOMETER")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamgauge/ceilometer"
)
INSTALL: Final = "Ceilometer is not installed; `scripts/ceilometer` installs it"
START_SECONDS: Final = 120.0


@dataclasses.dataclass
class Agents:
    """The agents of one cloud, over one broker: configure them, and start them in a `with`."""

    folder: Path
    cloud: OpenStack
    broker: RabbitServer
    exchange: str  # what they send to and listen on

    def __post_init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def configure(
        self,
        pollsters: list[dict[str, Any]],
        meters: list[str],
        samples: dict[str, list[str]],
        events: dict[str, list[str]],
    ) -> None:
        """Poll these meters every two seconds; publish samples and events, each address its own.

        `pollsters` are dynamic ones, which are described in a file.
        """
        (self.folder / "pollsters.d").mkdir(parents=True)
        polled = {"sources": [{"name": "some", "interval": 2, "meters": meters}]}
        files = {
            "pollsters.d/own.yaml": pollsters,
            "polling.yaml": polled,
            "pipeline.yaml": _pipeline("meters", samples),
            "event_pipeline.yaml": _pipeline("events", events),
        }
        for name, content in files.items():
            (self.folder / name).write_text(yaml.safe_dump(content))
        lines = self._configuration().splitlines()
        (self.folder / "ceilometer.conf").write_text("\n".join(line.strip() for line in lines))

    def poll(self) -> None:
        """Start the polling agent."""
        self._spawn("ceilometer-polling", "--polling-namespaces", "central")

    def publish(self) -> None:
        """Start the notification agent; returns once it listens."""
        agent = self._spawn("ceilometer-agent-notification")
        log = self.folder / "ceilometer-agent-notification.log"

        def listens() -> bool:
            assert agent.poll() is None, log.read_text()[-3000:]
            return all(self._consumers(f"notifications.{p}") for p in ("info", "error", "sample"))

        wait_until(listens, "the notification agent to listen", START_SECONDS)

    def upgrade(self) -> None:
        """Run what sets Gnocchi up before the agents start."""
        done = subprocess.run(
            [FOLDER / "bin/ceilometer-upgrade", *self._arguments(), "--retry", "1"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def __enter__(self) -> "Agents":
        return self

    def __exit__(self, *_: object) -> None:
        """End the agents at once."""
        end_groups(self._processes)

    def tail(self) -> str:
        """Return the end of what they said."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in logs)

    def _consumers(self, queue: str) -> int:
        with connect(self.broker.url) as connection:
            try:
                return int(connection.channel().queue_declare(queue, passive=True).consumer_count)
            except amqp.exceptions.NotFound:
                return 0

    def _arguments(self) -> list[str]:
        return ["--config-file", str(self.folder / "ceilometer.conf")]

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(
                [FOLDER / "bin" / program, *self._arguments(), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # their workers are children
            )
        self._processes.append(process)
        return process

    def _configuration(self) -> str:
        return f"""
            [DEFAULT]
            transport_url = rabbit://guest:guest@127.0.0.1:{self.broker.port}//
            control_exchange = {self.exchange}
            pollsters_definitions_dirs = {self.folder}/pollsters.d
            pipeline_cfg_file = {self.folder}/pipeline.yaml
            [polling]
            cfg_file = {self.folder}/polling.yaml
            [notification]
            notification_control_exchanges = {self.exchange}
            event_pipeline_cfg_file = {self.folder}/event_pipeline.yaml
            [service_credentials]
            auth_type = password
            auth_url = http://127.0.0.1:{self.cloud.ports["keystone"]}/v3
            username = admin
            password = {PASSWORD}
            project_name = admin
            user_domain_id = default
            project_domain_id = default
            region_name = {REGION}
            interface = public
        """


def _pipeline(what: str, ways: dict[str, list[str]]) -> dict[str, Any]:
    """Return a pipeline file that sends each of these to an address."""
    numbered = list(enumerate(ways.items()))
    return {
        "sources": [
            {"name": f"source-{n}", what: names, "sinks": [f"sink-{n}"]}
            for n, (_, names) in numbered
        ],
        "sinks": [{"name": f"sink-{n}", "publishers": [url]} for n, (url, _) in numbered],
    }
