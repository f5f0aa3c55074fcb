"""A stub of a cloud: logins and a catalog, and what its services answer, from what a test put there.

Compute's answers have the form of its published API samples (tests/test_nova_samples.py); a list is
given page by page, and whole projects only to who asks for all of them. `python -m
tests.servers.cloud PORT SERVERS` serves one as a process.
"""

import collections
import itertools
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import yaml
from flask import Flask

from tests.servers.aws import is_signed
from tests.servers.rabbitmq import free_port
from webapi.serving import serve

PROJECT: Final = "5ca1ab1e" * 4
USER: Final = "0ddba115" * 4
# Type in the catalog -> what its address ends in.
ADDRESSES: Final = {
    "compute": "/v2.1",
    "block-storage": "/v3",
    "image": "",
    "network": "",
    "load-balancer": "",
    "shared-file-system": "/v2",
    "dns": "/v2",
    "object-store": f"/v1/AUTH_{PROJECT}",
    "alarm": "",
    "rating": "",
    "radosgw": "",
}
# Path of a list -> its key, how its next page is told, what asks for all projects.
LISTS: Final = {
    "/compute/v2.1/servers/detail": ("servers", "links", "all_tenants"),
    "/block-storage/v3/volumes/detail": ("volumes", "links", "all_tenants"),
    "/block-storage/v3/snapshots/detail": ("snapshots", "links", "all_tenants"),
    "/block-storage/v3/backups/detail": ("backups", "links", "all_tenants"),
    "/block-storage/v3/scheduler-stats/get_pools": ("pools", "", "detail"),
    "/block-storage/v3/os-services": ("services", "", ""),
    "/image/v2/images": ("images", "next", ""),
    "/network/v2.0/floatingips": ("floatingips", "links", ""),
    "/network/v2.0/vpn/vpnservices": ("vpnservices", "links", ""),
    "/network/v2.0/vpn/ipsec-site-connections": ("ipsec_site_connections", "links", ""),
    "/network/v2.0/fwaas/firewall_groups": ("firewall_groups", "links", ""),
    "/network/v2.0/fwaas/firewall_policies": ("firewall_policies", "links", ""),
    "/load-balancer/v2.0/lbaas/loadbalancers": ("loadbalancers", "links", ""),
    "/shared-file-system/v2/shares/detail": ("shares", "links", "all_tenants"),
    "/dns/v2/zones": ("zones", "links.next", "X-Auth-All-Projects"),
    "/alarm/v2/metrics": ("evaluation_results", "", "all_projects"),
    "/identity/v3/projects": ("projects", "", ""),
}
_VERSION: Final = re.compile(r".*/(v[0-9.]+)/?")
_DIAGNOSTICS: Final = re.compile(r"/compute/v2\.1/servers/([^/]+)/diagnostics")
_RECORDSETS: Final = re.compile(r"/dns/v2/zones/([^/]+)/recordsets")
_ACCOUNT: Final = re.compile(r"/object-store/v1/AUTH_(\w+)")


class Answer(Exception):
    """An answer that ends the handling of a request."""

    def __init__(
        self, body: Any = None, status: int = 200, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(status)
        self.status = status
        self.headers = list(headers)
        self.body = body if isinstance(body, bytes) else b"" if body is None else _json(body)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


class Request:
    """One request, as a test looks at it afterwards."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.method = environ["REQUEST_METHOD"]
        self.path = environ["PATH_INFO"]
        self.query_text = environ["QUERY_STRING"]
        self.query = dict(parse_qsl(self.query_text))
        self.headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        self.began = time.monotonic()


class StubCloud:
    """A cloud on loopback in a thread of this process; close it.

    `lists` holds the entries of LISTS by key, `accounts` containers by project, `gateway` what Ceph's
    admin API answers (`bucket`, `usage`) by user, `other` answers by path; `fault` answers a request, or returns None to let it pass.
    """

    def __init__(
        self,
        services: Iterable[str] = ADDRESSES,
        regions: Iterable[str] = ("one",),
        port: int | None = None,
    ) -> None:
        self.services = list(services)
        self.regions = list(regions)
        self.lists: dict[str, list[Any]] = collections.defaultdict(list)
        self.accounts: dict[str, list[dict[str, Any]]] = {}
        self.gateway: dict[str, dict[str, Any]] = {}
        self.other: dict[str, Any] = {}
        self.fault: Callable[[Request], Answer | None] = lambda request: None
        self.requests: list[Request] = []
        self.largest_page = 1000
        self.password = "only-in-tests"
        self.access_key = "only-in-tests"
        self.secret_key = "of the gateway, in tests"
        self.work = itertools.count(1)  # each diagnostics' cpu time is another
        self.given: list[tuple[str, int]] = []  # (server, cpu time) of each
        self.at_once = collections.Counter[str]()  # requests under way, and the most there were
        self.most_at_once = collections.Counter[str]()
        self._indexed: tuple[Any, dict[str, dict[str, Any]]] = None, {}
        self._lock = threading.Lock()
        app = Flask(__name__)
        app.wsgi_app = self._serve  # type: ignore[method-assign]
        self._serving = serve(app, f"127.0.0.1:{port or free_port()}", 40)
        self.port = int(self._serving.address.rpartition(":")[2])

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Serve no more."""
        self._serving.close()

    def clouds_yaml(self, *names: str) -> str:
        """Return a clouds.yaml with clouds of these names, each of all regions."""
        login = {
            "auth_url": f"{self.url}/identity/v3",
            "username": "admin",
            "password": self.password,
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        clouds = {name: {"auth": login, "regions": self.regions} for name in names or ("stub",)}
        return yaml.safe_dump({"clouds": clouds})

    def asked(self, part: str) -> list[Request]:
        """Return the requests whose path holds a text."""
        return [request for request in list(self.requests) if part in request.path]

    def _serve(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        request = Request(environ)
        service = self._without_region(request.path).split("/")[1]
        with self._lock:
            self.requests.append(request)
            self.at_once[service] += 1
            self.most_at_once[service] = max(self.most_at_once[service], self.at_once[service])
        try:
            body = environ["wsgi.input"].read() if request.method == "POST" else b""
            answer = self.fault(request) or self._answer(request, body)
        finally:
            with self._lock:
                self.at_once[service] -= 1
        headers = [("Content-Type", "application/json"), *answer.headers]
        if request.method == "HEAD":
            start_response(f"{answer.status} -", headers)
            return [b""]
        headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} -", headers)
        return [answer.body]

    def _answer(self, request: Request, body: bytes) -> Answer:
        try:
            if request.path.endswith("/auth/tokens"):
                self._log_in(json.loads(body))
            if version := _VERSION.fullmatch(request.path):
                self._describe(request.path, version[1])
            if self._without_region(request.path) == "/image":
                raise Answer({"versions": [self._version(f"{request.path}/v2/", "v2.9")]}, 300)
            if request.path == "/stub":
                raise Answer(self._told())
            if request.path.startswith("/admin/"):
                self._administer(request)
            if request.headers.get("x-auth-token") != "token":
                raise Answer({"error": {"code": 401}}, 401)
            path = self._without_region(request.path)
            if path in self.other:
                raise Answer(self.other[path])
            if path in LISTS:
                self._list(path, request)
            for pattern, method in self._OF_ONE:
                if match := pattern.fullmatch(path):
                    method(self, match[1], request)
            raise Answer({"error": "not found"}, 404)
        except Answer as answer:
            return answer

    def _administer(self, request: Request) -> None:
        call = (request.method, request.path, request.query_text, request.headers)
        if not is_signed(self.access_key, self.secret_key, *call):
            raise Answer({"Code": "SignatureDoesNotMatch"}, 403)
        user = self.gateway.get(request.query["uid"])
        if user is None:
            raise Answer({"Code": "NoSuchUser"}, 404)
        what = request.path.rpartition("/")[2]
        if what == "bucket" and request.query.get("stats") != "true":
            raise Answer([each["bucket"] for each in user[what]])
        raise Answer(user[what])

    def _told(self) -> dict[str, Any]:
        """Return how many services' calls there were, how many at once, and when they came."""
        calls = [each for each in self.requests if "/v2.1/" in each.path]
        return {
            "calls": len(calls),
            "at_once": max(self.most_at_once.values()),
            "first": calls[0].began if calls else None,
            "last": calls[-1].began if calls else None,
        }

    def _describe(self, path: str, version: str) -> None:
        raise Answer({"version": self._version(path, version)})

    def _version(self, path: str, version: str) -> dict[str, Any]:
        compute = version == "v2.1"  # the others' microversions are not looked at
        return {
            "id": version,
            "status": "CURRENT",
            "links": [{"rel": "self", "href": f"{self.url}{path}"}],
            "version": "2.96" if compute else "",
            "min_version": "2.1" if compute else "",
        }

    def _without_region(self, path: str) -> str:
        first, _, rest = path[1:].partition("/")
        return f"/{rest}" if first in self.regions else path

    def _log_in(self, body: dict[str, Any]) -> None:
        given = body["auth"]["identity"]["password"]["user"]["password"]
        if given != self.password:
            raise Answer({"error": {"code": 401, "message": "wrong password"}}, 401)
        catalog = [
            {"type": kind, "name": kind, "id": kind, "endpoints": list(self._endpoints(kind))}
            for kind in ("identity", *self.services)
        ]
        token = {
            "methods": ["password"],
            "user": {"id": USER, "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "project": {
                "id": PROJECT,
                "name": "admin",
                "domain": {"id": "default", "name": "Default"},
            },
            "roles": [{"id": "admin", "name": "admin"}],
            "expires_at": "2199-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "catalog": catalog,
        }
        raise Answer({"token": token}, 201, [("X-Subject-Token", "token")])

    def _endpoints(self, kind: str) -> Iterator[dict[str, Any]]:
        for region in self.regions:
            where = f"/{kind}{ADDRESSES[kind]}" if kind != "identity" else "/identity/v3"
            url = f"{self.url}/{region}{where}" if kind != "identity" else f"{self.url}{where}"
            yield {
                "id": f"{kind}-{region}",
                "interface": "public",
                "region": region,
                "region_id": region,
                "url": url,
            }

    def _list(self, path: str, request: Request) -> None:
        key, style, everybody = LISTS[path]
        every = not everybody or everybody in request.query
        entries = self.lists[key] if every or everybody.lower() in request.headers else []
        if key == "images":  # those that are hidden are a list of their own
            hidden = request.query.get("os_hidden") == "true"
            entries = [entry for entry in entries if entry.get("os_hidden", False) == hidden]
        names = [str(entry.get("id")) for entry in entries if isinstance(entry, dict)]
        marker = request.query.get("marker")
        first = names.index(marker) + 1 if marker else 0
        size = min(int(request.query.get("limit", self.largest_page)), self.largest_page)
        page = entries[first : first + size] if style else entries
        answer: dict[str, Any] = {key: page}
        if style and first + size < len(entries):
            query = urlencode({**request.query, "limit": size, "marker": page[-1]["id"]})
            href = f"http://elsewhere.example.org{path}?{query}"  # as from behind a proxy
            if style == "links":
                answer[f"{key}_links"] = [{"rel": "next", "href": href}]
            elif style == "next":
                answer["next"] = f"{path}?{query}"
            else:
                answer["links"] = {"next": href}
        raise Answer(answer)

    def _diagnostics(self, server: str, request: Request) -> None:
        if request.headers.get("openstack-api-version") != "compute 2.48":
            raise Answer({"error": "the old form"}, 400)
        found = self._servers().get(server)
        if found is None:
            raise Answer({"itemNotFound": {"code": 404}}, 404)
        if found["status"] != "ACTIVE":
            raise Answer({"conflictingRequest": {"code": 409}}, 409)
        with self._lock:
            time_ = next(self.work)
            self.given.append((server, time_))
        raise Answer(diagnostics(server, time_))

    def _servers(self) -> dict[str, dict[str, Any]]:
        listed = self.lists["servers"]
        if self._indexed[0] is not listed:
            self._indexed = listed, {each["id"]: each for each in listed}
        return self._indexed[1]

    def _recordsets(self, zone: str, request: Request) -> None:
        found = next(each for each in self.lists["zones"] if each["id"] == zone)
        raise Answer({"recordsets": [], "metadata": {"total_count": found["recordset_count"]}})

    def _account(self, project: str, request: Request) -> None:
        containers = self.accounts.get(project)
        if containers is None:
            raise Answer({"error": "not found"}, 404)
        totals = {
            "X-Account-Object-Count": sum(each["count"] for each in containers),
            "X-Account-Bytes-Used": sum(each["bytes"] for each in containers),
            "X-Account-Container-Count": len(containers),
        }
        headers = [(name, str(value)) for name, value in totals.items()]
        marker = request.query.get("marker", "")
        limit = int(request.query.get("limit", "10000"))
        page = [each for each in containers if each["name"] > marker][:limit]
        raise Answer(page if request.method == "GET" else None, headers=headers)

    _OF_ONE: Final = (
        (_DIAGNOSTICS, _diagnostics),
        (_RECORDSETS, _recordsets),
        (_ACCOUNT, _account),
    )


def bucket(name: str, **categories: tuple[int, int]) -> dict[str, Any]:
    """Return a bucket as Ceph's admin API does: (objects, KiB) by category; none where it is new."""
    return {
        "bucket": name,
        "tenant": "",
        "owner": "shop",
        "usage": {
            f"rgw.{category}": {"num_objects": objects, "size_kb": size, "size": size * 1024 - 7}
            for category, (objects, size) in categories.items()
        },
    }


def calls(*operations: int) -> dict[str, Any]:
    """Return the usage of a user that Ceph's admin API has so many operations of."""
    summary = [
        {"user": "shop", "categories": [], "total": {"ops": each, "successful_ops": each}}
        for each in operations
    ]
    return {"entries": [], "summary": summary}


# What every server of Compute says at microversion 2.48.
_SERVER: Final[dict[str, Any]] = {
    "OS-DCF:diskConfig": "AUTO",
    "OS-EXT-AZ:availability_zone": "nova",
    "OS-EXT-SRV-ATTR:kernel_id": "",
    "OS-EXT-SRV-ATTR:launch_index": 0,
    "OS-EXT-SRV-ATTR:ramdisk_id": "",
    "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
    "OS-EXT-SRV-ATTR:user_data": "",
    "OS-EXT-STS:power_state": 1,
    "OS-EXT-STS:task_state": None,
    "OS-EXT-STS:vm_state": "active",
    "OS-SRV-USG:launched_at": "2026-11-01T10:00:30.000000",
    "OS-SRV-USG:terminated_at": None,
    "accessIPv4": "",
    "accessIPv6": "",
    "addresses": {},
    "config_drive": "",
    "created": "2026-11-01T10:00:00Z",
    "description": None,
    "flavor": {
        "disk": 20,
        "ephemeral": 4,
        "extra_specs": {},
        "original_name": "m1.small",
        "ram": 2048,
        "swap": 0,
        "vcpus": 2,
    },
    "host_status": "UP",
    "image": {"id": "1ma6e000-0000-4000-8000-000000000001", "links": []},
    "key_name": None,
    "links": [],
    "locked": False,
    "metadata": {"metering.stack": "shop", "note": "not kept"},
    "os-extended-volumes:volumes_attached": [],
    "progress": 0,
    "security_groups": [{"name": "default"}],
    "status": "ACTIVE",
    "tags": [],
    "updated": "2026-11-01T10:00:30Z",
}


def server(number: int, **fields: Any) -> dict[str, Any]:
    """Return a server as Compute lists it at microversion 2.48."""
    host = f"compute-{number // 50}"
    return {
        **_SERVER,
        "OS-EXT-SRV-ATTR:host": host,
        "OS-EXT-SRV-ATTR:hostname": f"web-{number}",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": host,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{number:08x}",
        "OS-EXT-SRV-ATTR:reservation_id": f"r-{number:08x}",
        "hostId": f"{number // 50:056x}",
        "id": f"{number:08x}-5e7e-4000-8000-{number:012x}",
        "name": f"web-{number}",
        "tenant_id": f"{number % 50:032x}",
        "user_id": f"{number % 100:032x}",
        **fields,
    }


def diagnostics(name: str, work: int) -> dict[str, Any]:
    """Return a running server's diagnostics at microversion 2.48, after so much work."""
    disk = {
        "errors_count": 0,
        "read_bytes": work * 4096,
        "read_requests": work,
        "write_bytes": work * 8192,
        "write_requests": 2 * work,
    }
    nic = {
        "mac_address": f"fa:16:3e:{name[2:4]}:{name[4:6]}:{name[6:8]}",
        "rx_drop": 1,
        "rx_errors": 2,
        "rx_octets": work * 1500,
        "rx_packets": work,
        "rx_rate": None,
        "tx_drop": 3,
        "tx_errors": 4,
        "tx_octets": work * 900,
        "tx_packets": work,
        "tx_rate": None,
    }
    return {
        "config_drive": False,
        "cpu_details": [{"id": 0, "time": work, "utilisation": None}],
        "disk_details": [disk],
        "driver": "libvirt",
        "hypervisor": "kvm",
        "hypervisor_os": "linux",
        "memory_details": {"maximum": 2048, "used": 1024},
        "nic_details": [nic],
        "num_cpus": 2,
        "num_disks": 1,
        "num_nics": 1,
        "state": "running",
        "uptime": 3600,
    }


def main(port: int, servers: int) -> None:
    """Serve a cloud of Compute alone until the process is ended."""
    cloud = StubCloud(["compute"], port=port)
    cloud.lists["servers"] = [server(number) for number in range(servers)]
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
