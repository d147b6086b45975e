"""Where a client really is: behind a proxy the socket tells only where the proxy is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from replicell.sync.errors import SyncError

__all__ = ["ClientAddresses", "neighbourhood"]

_SIXTY_FOUR = 64


class ClientAddresses:
    """Finds out a client's address.

    Args:
        proxies: Addresses or networks of proxies that are believed, as ``10.0.0.0/8``; nobody else's header
            is.
        header: The header in which they say for whom they speak, as ``X-Forwarded-For``: addresses parted by
            commas, to which each proxy has added the one it was asked by.

    Raises:
        SyncError: One of them is no network.

    >>> addresses = ClientAddresses(["10.0.0.0/8"], "X-Forwarded-For")
    >>> addresses.find("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.2"})
    '203.0.113.9'
    >>> addresses.find("198.51.100.7", {"x-forwarded-for": "203.0.113.9"})
    '198.51.100.7'
    """

    def __init__(self, proxies: Iterable[str] = (), header: str = "X-Forwarded-For") -> None:
        if isinstance(proxies, str):
            raise SyncError("trusted_proxies is a list of addresses or networks, not one text")
        try:
            self._networks = [ip_network(proxy) for proxy in proxies]
        except ValueError as error:
            raise SyncError(f"a trusted proxy is no address or network, as 10.0.0.0/8: {error}") from error
        self._header = header.lower()

    def find(self, peer: str, headers: Mapping[str, str]) -> str:
        """Return a client's address.

        Args:
            peer: Where the socket leads to.
            headers: The request's, by name in small letters.
        """
        if not self._trusts(peer):
            return peer
        told = [part.strip() for part in headers.get(self._header, "").split(",") if part.strip()]
        # What a client claims itself stands further left than what the first trusted proxy has seen.
        for address in reversed(told):
            if _parsed(address) is None:
                return peer
            if not self._trusts(address):
                return address
            peer = address
        return peer

    def _trusts(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def neighbourhood(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 network of an IPv6 one, which one
    customer mostly has for himself.

    >>> neighbourhood("203.0.113.9"), neighbourhood("2001:db8::1:2"), neighbourhood("::ffff:203.0.113.9")
    ('203.0.113.9', '2001:db8::/64', '203.0.113.9')
    """
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _SIXTY_FOUR), strict=False))
    return str(parsed or address)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        # A scope ("%eth0") says which of the own networks it is.
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
