"""What can be polled: the meters there are, how answers are read, when polls are due, and whose."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.definitions.reading import DefinitionError
from metering.pollsters.answers import AnswerError, entries_of, next_query
from metering.pollsters.block_storage import POOLS, virtual_free
from metering.pollsters.compute import DIAGNOSTICS, SERVERS
from metering.pollsters.hypervisor import METERS as HYPERVISOR
from metering.pollsters.intervals import Source, intervals_of, load_sources, not_polled
from metering.pollsters.kinds import Kind, Reading
from metering.pollsters.pace import asked_pause, following, pause
from metering.pollsters.readings import MISSHAPEN, Poll, samples_of, thing_of
from metering.pollsters.share import is_ours
from metering.pollsters.shipped import KINDS, METERS
from tests.packages import fetched
from tests.servers.cloud import diagnostics, server

# Ceilometer 27's meters of the central agent: unit by name; all are gauges.
CENTRAL = {
    "alarm.evaluation_result": "evaluation_result_count",
    "dns.zone.recordsets": "recordset",
    "dns.zone.serial": "serial",
    "dns.zone.status": "status",
    "dns.zone.ttl": "second",
    "image.size": "B",
    "ip.floating": "ip",
    "loadbalancer.operating": "status",
    "loadbalancer.provisioning": "status",
    "manila.share.size": "GiB",
    "manila.share.status": "status",
    "network.services.firewall": "firewall",
    "network.services.firewall.policy": "firewall_policy",
    "network.services.vpn": "vpnservice",
    "network.services.vpn.connections": "ipsec_site_connection",
    "radosgw.api.request": "request",
    "radosgw.containers.objects": "object",
    "radosgw.containers.objects.size": "B",
    "radosgw.objects": "object",
    "radosgw.objects.containers": "container",
    "radosgw.objects.size": "B",
    "storage.containers.objects": "object",
    "storage.containers.objects.size": "B",
    "storage.objects": "object",
    "storage.objects.containers": "container",
    "storage.objects.size": "B",
    "volume.backup.size": "GiB",
    "volume.provider.pool.capacity.allocated": "GiB",
    "volume.provider.pool.capacity.free": "GiB",
    "volume.provider.pool.capacity.provisioned": "GiB",
    "volume.provider.pool.capacity.total": "GiB",
    "volume.provider.pool.capacity.virtual_free": "GiB",
    "volume.service.health": "health",
    "volume.size": "GiB",
    "volume.snapshot.size": "GiB",
}
POLL = Poll.of(1_795_000_000.25, METERS, place={"region": "one"})


def volumes(kind: Kind, entry: Any, answer: Any = None) -> dict[str, Any]:
    """Return the volumes of an entry's samples by meter and resource."""
    thing = thing_of(kind, entry, POLL)
    found = samples_of(kind, Reading(thing, answer), POLL)
    return {
        f"{each['counter_name']} {each['resource_id']}": each["counter_volume"] for each in found
    }


def test_every_meter_of_the_central_agent_is_polled() -> None:
    of_servers = SERVERS.meters | DIAGNOSTICS.meters
    found = {
        meter.name: (meter.unit, meter.type)
        for kind in KINDS
        for part in kind.parts
        for meter in part.meters
        if meter.name not in of_servers
    }
    assert found == {name: (unit, "gauge") for name, unit in CENTRAL.items()}


def test_kinds_have_names_of_their_own() -> None:
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)


def test_a_servers_diagnostics_become_the_meters_of_an_agent() -> None:
    entry = server(7)
    name = entry["id"]
    nic = f"instance-00000007-{name}-fa:16:3e:00:00:07"
    assert volumes(DIAGNOSTICS, entry, diagnostics(name, 10)) == {
        f"power.state {name}": 1,
        f"cpu {name}": 10,
        f"vcpus {name}": 2,
        f"memory {name}": 2048,
        f"memory.usage {name}": 1024,
        f"disk.device.read.bytes {name}-disk0": 40960,
        f"disk.device.write.bytes {name}-disk0": 81920,
        f"disk.device.read.requests {name}-disk0": 10,
        f"disk.device.write.requests {name}-disk0": 20,
        f"network.incoming.bytes {nic}": 15000,
        f"network.outgoing.bytes {nic}": 9000,
        f"network.incoming.packets {nic}": 10,
        f"network.outgoing.packets {nic}": 10,
        f"network.incoming.packets.drop {nic}": 1,
        f"network.outgoing.packets.drop {nic}": 3,
        f"network.incoming.packets.error {nic}": 2,
        f"network.outgoing.packets.error {nic}": 4,
    }


def test_a_server_without_diagnostics_has_the_power_state_it_was_listed_with() -> None:
    entry = server(7, **{"OS-EXT-STS:power_state": 4})
    assert volumes(DIAGNOSTICS, entry) == {f"power.state {entry['id']}": 4}


def test_what_diagnostics_do_not_say_is_not_metered() -> None:
    entry = server(7)
    silent = {
        **diagnostics(entry["id"], 10),
        "cpu_details": [{"id": 0, "time": 5}, {"id": 1, "time": None}],
        "memory_details": None,
        "disk_details": None,
        "nic_details": [],
    }
    name = entry["id"]
    assert volumes(DIAGNOSTICS, entry, silent) == {f"power.state {name}": 1, f"vcpus {name}": 2}


def test_a_servers_metadata_are_those_of_an_agent() -> None:
    thing = thing_of(SERVERS, server(7), POLL)
    assert (thing.project_id, thing.user_id) == (f"{7:032x}", f"{7:032x}")
    assert orjson.loads(thing.metadata) == {
        "OS-EXT-AZ:availability_zone": "nova",
        "disk_gb": 20,
        "display_name": "web-7",
        "ephemeral_gb": 4,
        "flavor": {**server(7)["flavor"], "name": "m1.small"},
        "host": "0" * 56,
        "image": {"id": "1ma6e000-0000-4000-8000-000000000001", "links": []},
        "image_ref": "1ma6e000-0000-4000-8000-000000000001",
        "image_ref_url": None,
        "instance_host": "compute-0",
        "instance_id": server(7)["id"],
        "instance_type": "m1.small",
        "kernel_id": "",
        "memory_mb": 2048,
        "name": "instance-00000007",
        "ramdisk_id": "",
        "region": "one",
        "reservation_id": "r-00000007",
        "root_gb": 20,
        "state": "active",
        "status": "active",
        "task_state": None,
        "user_metadata": {"stack": "shop"},
        "vcpus": 2,
    }


def test_a_server_booted_from_a_volume_has_no_image() -> None:
    metadata = orjson.loads(thing_of(SERVERS, server(7, image=""), POLL).metadata)
    assert [metadata[key] for key in ("image", "image_ref", "image_ref_url")] == [None] * 3


def test_samples_of_a_poll_share_its_time_and_are_named_by_what_they_say() -> None:
    thing = thing_of(SERVERS, server(7), POLL)
    first, again = (samples_of(SERVERS, Reading(thing), POLL) for _ in range(2))
    later = samples_of(SERVERS, Reading(thing), Poll.of(1_795_000_001, METERS))
    assert {each["timestamp"] for each in first} == {"2026-11-18T11:06:40.250"}
    assert json.loads(orjson.dumps(first)) == json.loads(orjson.dumps(again))
    names = [each["message_id"] for each in (*first, *later)]
    assert len(set(names)) == len(names)


def test_only_wanted_meters_are_sampled() -> None:
    poll = Poll.of(0, frozenset({"disk.root.size"}))
    found = samples_of(SERVERS, Reading(thing_of(SERVERS, server(7), poll)), poll)
    assert [each["counter_name"] for each in found] == ["disk.root.size"]


def test_what_only_a_region_knows_by_its_id_is_named_after_it_where_there_are_several() -> None:
    pool = {"name": "host@lvm#p", "capabilities": {"total_capacity_gb": 10}}
    several = Poll.of(0, METERS, prefix="one/")
    assert thing_of(POOLS, pool, several).id == "one/host@lvm#p"
    assert thing_of(SERVERS, server(7), several).id == server(7)["id"]


def test_a_pool_without_bounds_is_metered_where_it_has_numbers() -> None:
    capabilities = {
        "total_capacity_gb": "infinite",
        "free_capacity_gb": "unknown",
        "provisioned_capacity_gb": 5,
        "allocated_capacity_gb": 3,
    }
    pool = {"name": "p", "capabilities": capabilities}
    assert volumes(POOLS, pool) == {
        "volume.provider.pool.capacity.provisioned p": 5,
        "volume.provider.pool.capacity.allocated p": 3,
    }


@pytest.mark.parametrize(
    ("more", "free"),
    [
        ({}, 55.0),
        ({"reserved_percentage": 10}, 45.0),
        ({"reserved_percentage": 10, "max_over_subscription_ratio": "2.0"}, 45.0),
        ({"thin_provisioning_support": True, "max_over_subscription_ratio": "2.0"}, 155.0),
    ],
)
def test_what_may_still_be_provisioned_counts_reserve_and_oversubscription(
    more: dict[str, Any], free: float
) -> None:
    found = {"total_capacity_gb": 100, "provisioned_capacity_gb": 45, **more}
    assert virtual_free({"capabilities": found}) == free


@pytest.mark.parametrize("entry", [None, 5, "text", [], {}, {"id": 5}, {"id": ""}])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_entry_of_another_shape_is_no_thing(kind: Kind, entry: Any) -> None:
    with pytest.raises(MISSHAPEN):
        thing_of(kind, entry, POLL)


def test_an_answer_of_another_shape_is_no_reading() -> None:
    thing = thing_of(DIAGNOSTICS, server(7), POLL)
    for answer in ([1], "text", 5, {"nic_details": [5]}, {"disk_details": "x"}):
        with pytest.raises(MISSHAPEN):
            samples_of(DIAGNOSTICS, Reading(thing, answer), POLL)


@pytest.mark.parametrize(
    "answer",
    [
        {
            "things_links": [
                {"rel": "self", "href": "/x"},
                {"rel": "next", "href": "http://h/t?a=1&b=2"},
            ]
        },
        {"next": "/v2/things?a=1&b=2"},
        {"links": {"self": "/x", "next": "http://h/things?a=1&b=2"}},
        {"links": [{"rel": "next", "href": "things?a=1&b=2"}]},
    ],
)
def test_the_next_page_is_found_in_any_services_form(answer: dict[str, Any]) -> None:
    assert next_query(answer, "things") == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "answer",
    [{}, {"next": None}, {"links": {"next": None}}, {"things_links": []}, {"next": "/no-query"}],
)
def test_a_last_page_leads_nowhere(answer: dict[str, Any]) -> None:
    assert next_query(answer, "things") is None


def test_a_list_is_found_at_its_key() -> None:
    assert entries_of({"a": {"b": [1]}}, "a.b") == [1]
    for answer in ({}, {"a": [1]}, {"a": {"b": {}}}, [], None):
        with pytest.raises(AnswerError):
            entries_of(answer, "a.b")


@given(st.text(), st.integers(1, 50))
def test_a_resource_is_exactly_one_readers(resource: str, readers: int) -> None:
    assert sum(is_ours(resource, reader, readers) for reader in range(readers)) == 1


@given(st.floats(0, 1e6), st.floats(0.1, 1e4), st.floats(0, 1e5))
def test_a_poll_is_never_due_in_the_past_and_missed_ones_are_counted(
    due: float, interval: float, took: float
) -> None:
    now = due + took
    following_due, missed = following(due, interval, now)
    assert following_due > now or following_due == pytest.approx(now)
    assert following_due - interval <= now or following_due - interval == pytest.approx(now)
    assert following_due == pytest.approx(due + (missed + 1) * interval)


def test_a_poll_in_time_misses_none_and_one_that_overruns_misses_what_fell_due() -> None:
    assert following(100, 10, 103) == (110, 0)
    assert following(100, 10, 110) == (120, 1)
    assert following(100, 10, 137) == (140, 3)


@given(st.integers(1, 100), st.floats(0, 0.999))
def test_pauses_double_up_to_a_bound_with_jitter_below_them(attempt: int, chance: float) -> None:
    whole = min(60.0, 0.5 * 2 ** min(attempt - 1, 30))
    assert whole / 2 <= pause(attempt, 0.5, 60, chance) <= whole


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("99999999", 3600.0),
        ("Wed, 18 Nov 2026 11:06:50 GMT", 10.0),
        ("Wed, 18 Nov 2026 11:06:30 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert asked_pause(header, 1_795_000_000) == seconds


def sources(tmp_path: Path, text: str) -> tuple[Source, ...]:
    file = tmp_path / "polling.yaml"
    file.write_text(text)
    return load_sources(file)


def test_polling_yaml_says_what_is_polled_how_often(tmp_path: Path) -> None:
    found = sources(
        tmp_path,
        """
        sources:
          - {name: often, interval: 60, meters: [cpu, "disk.device.*"]}
          - {name: all but disks, interval: 600, meters: ["!disk.*", "!cpu"]}
          - {name: everything, interval: 86400, meters: ["*"]}
          - {name: cpu again, interval: 600, meters: [cpu, perf.instructions]}
        """,
    )
    meters = ["cpu", "memory", "disk.device.read.bytes", "disk.root.size"]
    assert intervals_of(found, meters) == {
        60.0: {"cpu", "disk.device.read.bytes"},
        600.0: {"memory", "cpu"},
        86400.0: set(meters),
    }
    assert not_polled(found, frozenset(meters)) == ["perf.instructions"]


def test_what_is_left_out_stays_out(tmp_path: Path) -> None:
    (found,) = sources(tmp_path, "sources: [{name: a, interval: 1, meters: ['*', '!disk.*']}]")
    assert (found.wants("cpu"), found.wants("disk.root.size")) == (True, False)


def test_the_polling_files_that_ceilometer_ships_load_unchanged_and_all_they_name_is_polled() -> (
    None
):
    folder = fetched("ceilometer", "27.0.0") / "etc" / "ceilometer"
    (some,), (every,) = (load_sources(folder / f"polling{part}.yaml") for part in ("", "_all"))
    assert (some.interval, every.interval, every.filters) == (300.0, 300.0, ("*",))
    assert not_polled([some], METERS | frozenset(HYPERVISOR)) == []
    assert not_polled([some], METERS) == ["memory.available"]  # only the hypervisor knows


def test_ceilometers_own_discovery_is_taken_without_effect(tmp_path: Path) -> None:
    text = "sources: [{name: a, interval: 5, meters: [cpu], resources: ['x://y'], discovery: []}]"
    assert sources(tmp_path, text) == (Source("a", 5.0, ("cpu",), ("resources",)),)


def test_faults_of_polling_yaml_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """sources:
  - name: a
    interval: 0
    meters: [cpu, "!disk.*"]
  - interval: soon
    meters: []
    colour: red
  - name: c
    interval: 5
    meters: ["*", cpu]
  - 5
"""
    with pytest.raises(DefinitionError) as raised:
        sources(tmp_path, text)
    assert [fault.partition("polling.yaml:")[2] for fault in raised.value.faults] == [
        "1: sources: each must be a mapping of name, interval and meters",
        "3: interval: must be above 0",
        "4: meters: 'cpu' cannot stand beside '!disk.*'",
        "5: interval: must be a whole number of seconds",
        "5: name: is required",
        "6: meters: must be a list of names and patterns",
        "7: colour: unknown field of a source",
        "10: meters: 'cpu' cannot stand beside '*'",
    ]


@pytest.mark.parametrize("text", ["", "sources: {}", "sources: []", "- a", "sources:"])
def test_polling_yaml_must_have_sources(tmp_path: Path, text: str) -> None:
    with pytest.raises(DefinitionError, match="must be a list of sources"):
        sources(tmp_path, text)
