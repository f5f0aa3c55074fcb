"""Real Keystone, Glance and Cinder for tests: processes on loopback, their databases and a broker.

Source: their releases on PyPI, in an environment of their own that `scripts/openstack` makes; Cinder
    with the fake volume driver of its own tree.
"""

import contextlib
import dataclasses
import functools
import os
import signal
import string
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import openstack
import pytest
import requests
import yaml

from tests.servers.mariadb import MariaDB, is_installed
from tests.servers.rabbitmq import RabbitServer, free_port, wait_until

FOLDER: Final = Path(
    os.environ.get("STREAMGAUGE_OPENSTACK")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamgauge/openstack"
)
PASSWORD: Final = "only-in-tests"
REGION: Final = "RegionOne"
START_SECONDS: Final = 120.0
# WSGI applications read their configuration from the command line or from a folder of that name.
SERVE: Final = (
    "import sys; from importlib import import_module; from waitress import serve;"
    " module, listen = sys.argv[1:3]; sys.argv = [module, *sys.argv[3:]];"
    " serve(import_module(module).application, listen=listen, threads=4)"
)
CONFIGURATION: Final = Path(__file__).parent / "openstack_etc"
SERVICES: Final = {"image": "glance", "block-storage": "cinder"}


@dataclasses.dataclass
class OpenStack:
    """One cloud of three services; start it once, its data goes with its folder."""

    folder: Path
    broker: RabbitServer

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("keystone", "glance", "cinder")}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._database = MariaDB(self.folder / "mariadb", "cinder")

    @property
    def clouds(self) -> Path:
        """The clouds.yaml of this cloud; its one cloud is `here`."""
        return self.folder / "clouds.yaml"

    def connection(self) -> openstack.connection.Connection:
        """Return the administrator's connection; close it."""
        loader = openstack.config.OpenStackConfig(config_files=[str(self.clouds)])
        return openstack.connection.Connection(config=loader.get_one("here"))

    def volume(self, size: int, name: str) -> Any:
        """Return a volume that is there."""
        with self.connection() as admin:
            made = admin.block_storage.create_volume(size=size, name=name)
            return admin.block_storage.wait_for_status(made, "available", interval=0.2, wait=60)

    def start(self) -> None:
        """Configure, make the databases, and start; returns once all of them answer."""
        self.folder.mkdir(parents=True)
        for file in CONFIGURATION.iterdir():
            text = string.Template(file.read_text()).substitute(self._values())
            (self.folder / file.name).write_text(text)
        self.clouds.write_text(yaml.safe_dump({"clouds": {"here": self._login()}}))
        for name in ("keys", "images", "locks", "volumes"):
            (self.folder / name).mkdir(mode=0o700)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda step: step(), (self._keystone, self._glance, self._cinder)))
        self._register()
        # Until it was told of one, Cinder's scheduler refuses every volume: "no valid backend".
        with self.connection() as cloud:
            pools = cloud.block_storage.backend_pools
            wait_until(lambda: list(pools()), "Cinder's scheduler to know of a pool", START_SECONDS)

    def stop(self) -> None:
        """End every process at once: nothing of it is kept."""
        end_groups(self._processes)
        self._database.stop()

    def _keystone(self) -> None:
        manage = functools.partial(self._run, "keystone-manage", "--config-file", "keystone.conf")
        manage("db_sync")
        manage("fernet_setup", "--keystone-user", "root", "--keystone-group", "root")
        url = f"http://127.0.0.1:{self.ports['keystone']}/v3"
        bootstrap = ["--bootstrap-password", PASSWORD, "--bootstrap-region-id", REGION]
        manage("bootstrap", *bootstrap, "--bootstrap-public-url", url)
        self._serve("keystone", "keystone.wsgi.api")

    def _glance(self) -> None:
        self._run("glance-manage", "--config-file", "glance-api.conf", "db_sync")
        self._serve("glance", "glance.wsgi.api")

    def _cinder(self) -> None:
        self._database.start()
        self._run("cinder-manage", "--config-file", "cinder.conf", "db", "sync")
        for name in ("cinder-scheduler", "cinder-volume"):
            self._spawn(name, str(FOLDER / "bin" / name), "--config-file", "cinder.conf")
        self._serve("cinder", "cinder.wsgi.api", "--config-file", "cinder.conf")

    def _serve(self, name: str, module: str, *arguments: str) -> None:
        listen = f"127.0.0.1:{self.ports[name]}"
        python = str(FOLDER / "bin" / "python")
        process = self._spawn(f"{name}-api", python, "-c", SERVE, module, listen, *arguments)

        def answers() -> bool:
            assert process.poll() is None, (self.folder / f"{name}-api.log").read_text()[-3000:]
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"http://{listen}/", timeout=10).status_code < 500
            return False

        wait_until(answers, f"{name} to answer", START_SECONDS)

    def _register(self) -> None:
        """Put the other services into the catalog."""
        paths = {"glance": "", "cinder": "/v3"}
        with self.connection() as cloud:
            for kind, name in SERVICES.items():
                service = cloud.identity.create_service(type=kind, name=name)
                cloud.identity.create_endpoint(
                    service_id=service.id,
                    interface="public",
                    region_id=REGION,
                    url=f"http://127.0.0.1:{self.ports[name]}{paths[name]}",
                )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{FOLDER / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "OS_KEYSTONE_CONFIG_DIR": str(self.folder),
            "OS_GLANCE_CONFIG_DIR": str(self.folder),
        }

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [FOLDER / "bin" / program, *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        assert done.returncode == 0, f"{program}: {done.stderr[-3000:]}"

    def _spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Cinder's have children
            )
        self._processes.append(process)
        return process

    def _values(self) -> dict[str, str]:
        """Return what stands for the names in the configuration files."""
        return {
            "folder": str(self.folder),
            "etc": str(FOLDER / "etc"),
            "keystone": f"http://127.0.0.1:{self.ports['keystone']}/v3",
            "password": PASSWORD,
            "broker": str(self.broker.port),
            "exchange": f"cinder-{self.ports['cinder']}",
            "database": self._database.url,
        }

    def _login(self) -> dict[str, Any]:
        return {
            "auth": {
                "auth_url": f"http://127.0.0.1:{self.ports['keystone']}/v3",
                "username": "admin",
                "password": PASSWORD,
                "project_name": "admin",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            "region_name": REGION,
        }


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitServer) -> Iterator[OpenStack]:
    """The run's shared cloud; tests make their own volumes and images in it."""
    if not ((FOLDER / "ready").exists() and is_installed()):
        pytest.skip(
            "Keystone, Glance, Cinder or MariaDB is not installed; `make services` installs them"
        )
    cloud = OpenStack(tmp_path_factory.mktemp("openstack") / "cloud", rabbitmq)
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.stop()


def end_groups(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes that lead groups of their own at once, with their children, and forget them."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    processes.clear()
