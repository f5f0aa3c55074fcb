"""Which addresses an action may call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.alarms.addresses import Addresses
from metering.alarms.settings import Actions

DEFAULT = Addresses(Actions().refuse, Actions().allow)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "224.0.0.251",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::ffff:127.0.0.1",
        "::169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::127.0.0.1",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::",
        "2001:0:808:808::5601:5601",  # Teredo: the client's bits are turned round
    ],
)
def test_this_machine_its_neighbours_and_metadata_are_refused(address: str) -> None:
    assert not DEFAULT.permits(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.5",
        "192.168.1.1",
        "172.16.0.1",
        "203.0.113.9",
        "2001:db8::1",
        "fd12::1",
        "64:ff9b::808:808",
    ],
)
def test_others_are_permitted(address: str) -> None:
    assert DEFAULT.permits(address)


def test_what_is_allowed_is_an_exception_in_each_form() -> None:
    found = Addresses(Actions().refuse, ["127.0.0.0/8"])
    assert found.permits("127.0.0.1")
    assert found.permits("::ffff:127.0.0.1")
    assert not found.permits("::1")
    assert not found.permits("169.254.169.254")


def test_a_network_that_is_refused_is_so_within_ipv6_too() -> None:
    found = Addresses(["10.0.0.0/8"], [])
    assert not found.permits("::ffff:10.1.2.3")
    assert not found.permits("2002:a01:203::")
    assert found.permits("169.254.169.254")


@given(st.ip_addresses(v=4))
def test_no_form_of_an_address_is_permitted_where_it_is_not(address: object) -> None:
    nothing = Addresses(["0.0.0.0/0"], [])
    for form in (f"::ffff:{address}", f"64:ff9b::{address}", f"::ffff:0:{address}"):
        assert not nothing.permits(form)
