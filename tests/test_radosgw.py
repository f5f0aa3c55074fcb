"""Ceph's object gateway, polled with signed calls to its admin API, against a stub of it."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.pollsters.gateway import BUCKETS, CALLS, gateway_user
from metering.pollsters.intervals import Source, not_polled
from metering.pollsters.kinds import Kind, Reading
from metering.pollsters.readings import MISSHAPEN, Poll, samples_of, thing_of
from metering.pollsters.shipped import METERS
from sources.openstack.settings import OpenStackSettings
from tests.polling import only, polling
from tests.servers.aws import is_signed, signature
from tests.servers.cloud import StubCloud, bucket, calls


@pytest.fixture
def cloud() -> Iterator[StubCloud]:
    cloud = StubCloud(["object-store"])
    cloud.lists["projects"] = [{"id": "shop"}, {"id": "idle"}, {"id": "stranger"}]
    cloud.gateway = {
        "shop": {
            "bucket": [bucket("photos", main=(7, 20), multimeta=(1, 0)), bucket("new")],
            "usage": calls(30, 12),
        },
        "idle": {"bucket": [], "usage": calls()},
    }
    yield cloud
    cloud.close()


SHOP = {
    ("radosgw.api.request", "shop"): 42,
    ("radosgw.containers.objects", "shop/new"): 0,
    ("radosgw.containers.objects", "shop/photos"): 8,
    ("radosgw.containers.objects.size", "shop/new"): 0,
    ("radosgw.containers.objects.size", "shop/photos"): 20480,
    ("radosgw.objects", "shop"): 8,
    ("radosgw.objects.containers", "shop"): 2,
    ("radosgw.objects.size", "shop"): 20480,
}
IDLE = {
    ("radosgw.api.request", "idle"): 0,
    ("radosgw.objects", "idle"): 0,
    ("radosgw.objects.containers", "idle"): 0,
    ("radosgw.objects.size", "idle"): 0,
}


def test_what_projects_keep_in_the_gateway_and_how_often_they_call_it_is_polled(
    cloud: StubCloud, tmp_path: Path
) -> None:
    with polling(cloud, tmp_path, polling=only(tmp_path, "radosgw.*")) as polled:
        polled.until_polls(2)
        status = polled.status
    assert polled.volumes() == SHOP | IDLE  # and nothing of whom the gateway does not know
    assert len(polled.samples) == len(SHOP | IDLE)
    assert (status["absent"], status["last_error"], polled.strays) == ({}, None, [])
    sample = next(s for s in polled.samples if s["resource_id"] == "shop/photos")
    assert (sample["project_id"], sample["user_id"]) == ("shop", None)
    assert sample["resource_metadata"] == {"cloud": "stub", "region": "one"}
    assert {request.path for request in cloud.asked("/admin")} == {"/admin/bucket", "/admin/usage"}


def test_calls_are_signed_and_neither_the_token_nor_the_secret_goes_along(
    cloud: StubCloud, tmp_path: Path
) -> None:
    with polling(cloud, tmp_path, polling=only(tmp_path, "radosgw.usage")) as polled:
        polled.until_polls(1)
    asked = cloud.asked("/admin/usage")
    assert {request.query["uid"] for request in asked} == {"shop", "idle", "stranger"}
    assert [name for name in asked[0].headers if "token" in name] == []
    assert cloud.secret_key not in str(asked[0].headers)


def test_a_tenant_of_its_own_is_named_before_each_project_where_they_are_implicit(
    cloud: StubCloud, tmp_path: Path
) -> None:
    cloud.gateway = {"shop$shop": cloud.gateway["shop"]}
    meters = only(tmp_path, "radosgw.objects", "radosgw.containers.objects", "radosgw.usage")
    with polling(cloud, tmp_path, polling=meters, radosgw_implicit_tenants=True) as polled:
        polled.until_polls(2)
    assert polled.volumes() == {
        key: value
        for key, value in SHOP.items()
        if "size" not in key[0] and key[0] != "radosgw.objects.containers"
    }


def test_a_gateway_is_found_by_the_type_and_the_name_that_it_has_in_the_catalog(
    tmp_path: Path,
) -> None:
    cloud = StubCloud(["object-store", "radosgw"])
    cloud.lists["projects"] = [{"id": "shop"}]
    cloud.gateway = {"shop": {"usage": calls(3)}}
    meters = only(tmp_path, "radosgw.usage")
    named = {"radosgw_service_type": "radosgw", "radosgw_service_name": "radosgw"}
    with polling(cloud, tmp_path / "there", polling=meters, **named) as polled:
        polled.until_polls(1)
    with polling(cloud, tmp_path / "not", polling=meters, radosgw_service_name="ceph") as nowhere:
        nowhere.until(lambda: nowhere.status["absent"], "the gateway to be missed")
        absent = nowhere.status["absent"]
    cloud.close()
    assert polled.volumes() == {("radosgw.api.request", "shop"): 3}
    assert absent == {"stub/one object gateway": "not in the catalog"}


def test_keys_that_the_gateway_refuses_are_told(cloud: StubCloud, tmp_path: Path) -> None:
    meters = only(tmp_path, "radosgw.usage")
    with polling(cloud, tmp_path, polling=meters, radosgw_secret_key="another") as polled:
        polled.until(lambda: polled.status["last_error"], "the refusal to be told")
        error = polled.status["last_error"]
    assert error.endswith('/admin/usage: 403 {"Code": "SignatureDoesNotMatch"}')
    assert "another" not in error
    assert polled.samples == []


def test_without_keys_the_gateway_is_not_polled_and_that_is_said_once(
    cloud: StubCloud, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.accounts = {"shop": []}
    keyless = {"radosgw_access_key": None, "radosgw_secret_key": None}
    meters = only(tmp_path, "radosgw.objects", "storage.objects", interval=1)
    with (
        caplog.at_level(logging.WARNING),
        polling(cloud, tmp_path, polling=meters, **keyless) as polled,
    ):
        polled.until_polls(2)
        status = polled.status
    said = "radosgw_access_key and radosgw_secret_key are not set"
    assert (status["absent"], status["not_polled"]) == ({"object gateway": said}, [])
    assert caplog.messages.count(f"object gateway is not polled: {said}") == 1
    assert cloud.asked("/admin") == []
    assert polled.meters() == {"storage.objects"}


def test_who_polls_nothing_of_the_gateway_is_told_nothing_of_its_keys(
    cloud: StubCloud, tmp_path: Path
) -> None:
    keyless = {"radosgw_access_key": None, "radosgw_secret_key": None}
    with polling(cloud, tmp_path, polling=only(tmp_path, "image.size"), **keyless) as polled:
        assert "object gateway" not in polled.status["absent"]


@pytest.mark.parametrize("key", ["radosgw_access_key", "radosgw_secret_key"])
def test_one_key_without_the_other_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="radosgw_access_key and radosgw_secret_key belong"):
        OpenStackSettings.model_validate({key: "k"})


def test_keys_are_not_shown() -> None:
    settings = OpenStackSettings.model_validate(
        {"radosgw_access_key": "whisper", "radosgw_secret_key": "whisper"}
    )
    assert "whisper" not in repr(settings)
    assert settings.radosgw_keys == ("whisper", "whisper")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (BUCKETS, ["photos"]),
        (BUCKETS, [{"bucket": "photos"}]),
        (BUCKETS, [{"bucket": "photos", "usage": {"rgw.main": {"num_objects": 1}}}]),
        (BUCKETS, {"Code": "odd"}),
        (BUCKETS, 5),
        (CALLS, None),
        (CALLS, {}),
        (CALLS, {"summary": [{"user": "shop"}]}),
        (CALLS, [5]),
    ],
)
def test_an_answer_of_another_shape_is_no_reading(kind: Kind, answer: Any) -> None:
    poll = Poll.of(0, METERS)
    thing = thing_of(kind, {"id": "shop"}, poll)
    with pytest.raises(MISSHAPEN):
        samples_of(kind, Reading(thing, answer), poll)


def test_the_requests_are_polled_by_the_name_of_ceilometers_pollster_too() -> None:
    meter = "radosgw.api.request"
    wanted = {
        filters: Source("s", 60, filters).wants(meter)
        for filters in [
            ("radosgw.usage",),
            (meter,),
            ("radosgw.*",),
            ("radosgw.objects",),
            ("!radosgw.usage",),
            (f"!{meter}",),
        ]
    }
    assert list(wanted.values()) == [True, True, True, False, False, False]
    assert not_polled([Source("s", 60, ("radosgw.usage", "radosgw.use"))], METERS) == [
        "radosgw.use"
    ]


def test_a_project_is_a_user_of_the_gateway() -> None:
    assert [gateway_user("p", implicit) for implicit in (False, True)] == ["p", "p$p"]


@pytest.mark.parametrize(
    ("query", "signed"),
    [
        ("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_stub_asks_for_the_signature_of_the_published_examples(query: str, signed: str) -> None:
    access, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    scope, names = "20130524/us-east-1/s3/aws4_request", "host;x-amz-content-sha256;x-amz-date"
    given = {
        "host": "examplebucket.s3.amazonaws.com",
        "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-amz-date": "20130524T000000Z",
    }
    assert signature(secret, scope, names, "GET", "/", query, given) == signed
    told = (
        f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signed}"
    )
    call = ("GET", "/", query, {**given, "authorization": told})
    assert is_signed(access, secret, *call)
    assert not is_signed(access, "another", *call)
    assert not is_signed("another", secret, *call)
    assert not is_signed(access, secret, "GET", "/", query, given)
