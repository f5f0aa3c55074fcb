"""Which addresses an action may call: none that is refused, in whatever form it is written.

Source: RFC 4291 (IPv4-mapped, IPv4-compatible), 2765 (translated), 3056 (6to4), 4380 (Teredo), 6052 and
    8215 (NAT64).
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Networks whose addresses end in an IPv4 address, which is who answers.
_ENDING_IN_IPV4: Final = tuple(
    map(
        ipaddress.IPv6Network,
        ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"),
    )
)


class Addresses:
    """Networks that are refused, and exceptions from them."""

    def __init__(self, refuse: Sequence[str], allow: Sequence[str]) -> None:
        self._refuse = _networks(refuse)
        self._allow = _networks(allow)

    def permits(self, text: str) -> bool:
        """Return whether an address may be called; one with IPv4 in it, only if both may be."""
        address = ipaddress.ip_address(text.partition("%")[0])
        return all(
            _within(one, self._allow) or not _within(one, self._refuse) for one in _forms(address)
        )


def _networks(texts: Sequence[str]) -> list[_Network]:
    return [ipaddress.ip_network(text) for text in texts]


def _within(address: _Address, networks: Sequence[_Network]) -> bool:
    return any(address in network for network in networks)


def _forms(address: _Address) -> Iterator[_Address]:
    """Yield an address and those that may be reached by it."""
    yield address
    if isinstance(address, ipaddress.IPv4Address) or int(address) <= 1:  # :: and ::1
        return
    if _within(address, _ENDING_IN_IPV4):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
