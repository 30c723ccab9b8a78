"""From an instance to what its packets are and what it demands of a packet; pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from kad.model.vrrp import OWNER_PRIORITY, VrrpInstance
from kad.vrrp.advert import OLD_UNICAST_DESTINATION, Expectation, build_v2, build_v3, pass_data
from kad.vrrp.auth.ah import AuthenticationHeader
from kad.vrrp.auth.trailer import HmacTrailer

_AUTH_TYPES = {"PASS": 1, "AH": 2}


@lru_cache(maxsize=4096)
def packed(address: str) -> bytes:
    """An address of canonical text in network order."""
    if ":" in address:
        return ip_address(address).packed
    # Ten times as fast as ip_address(), which must doubt what it reads; a thousand routers notice.
    return bytes(map(int, address.split(".")))


def packed_addresses(instance: VrrpInstance) -> tuple[bytes, ...]:
    """The virtual addresses in configured order, as they stand in the packet."""
    listed = (*(virtual.address for virtual in instance.virtual_addresses), *instance.repeated_addresses)
    return tuple(map(packed, listed))


def source_number(source: str | None) -> int:
    """The address that adverts are sent from as the number by which equal priorities are decided."""
    return int.from_bytes(packed(source)) if source else 0


def expectation(instance: VrrpInstance, effective_priority: int) -> Expectation:
    """What a packet must be to count."""
    authentication = instance.authentication
    addresses = packed_addresses(instance)
    return Expectation(
        version=instance.version,
        family=instance.family,
        interval=instance.advertisement_interval,
        auth_type=_AUTH_TYPES[authentication.type] if authentication else 0,
        auth_data=pass_data(authentication.password.reveal()) if authentication else bytes(8),
        addresses=frozenset(addresses),
        address_count=len(addresses),
        unicast_peers=frozenset(peer.address for peer in instance.unicast_peers),
        check_source=instance.check_unicast_src,
        peer_ttls=tuple(
            (peer.address, peer.min_ttl or 0, 255 if peer.max_ttl is None else peer.max_ttl)
            for peer in instance.unicast_peers
            if peer.min_ttl is not None or peer.max_ttl is not None
        ),
        ignores_everything=instance.owner_ignore_adverts and effective_priority == OWNER_PRIORITY,
        multicast_group=packed(instance.multicast_group),
        hmac=instance.auth_hmac is not None,
    )


def message(instance: VrrpInstance, priority: int, source: str, destination: str, *, old_unicast: bool) -> bytes:
    """The VRRP message of an advert; version 3 covers source and destination by its checksum."""
    addresses = packed_addresses(instance)
    interval = instance.advertisement_interval
    if instance.version == 2:
        authentication = instance.authentication
        auth_type = _AUTH_TYPES[authentication.type] if authentication else 0
        auth_data = pass_data(authentication.password.reveal()) if authentication else bytes(8)
        return build_v2(instance.virtual_router_id, priority, addresses, interval, auth_type, auth_data)
    if instance.v3_checksum_as_v2 and instance.family == 4:
        return build_v3(instance.virtual_router_id, priority, addresses, interval)
    covered = OLD_UNICAST_DESTINATION if old_unicast else packed(destination)
    return build_v3(instance.virtual_router_id, priority, addresses, interval, packed(source), covered)


def advert_destinations(instance: VrrpInstance) -> tuple[str, ...]:
    """Where its adverts go."""
    if instance.unicast_peers:
        return tuple(peer.address for peer in instance.unicast_peers)
    return (instance.multicast_group,)


def parted(old: VrrpInstance, new: VrrpInstance) -> tuple[str, ...]:
    """Old destinations where adverts of the new configuration do not count for the same router."""
    destinations = advert_destinations(old)
    if _wire_identity(old) != _wire_identity(new):
        return destinations
    return tuple(each for each in destinations if each not in advert_destinations(new))


def _wire_identity(instance: VrrpInstance) -> tuple[object, ...]:
    """What another router demands of an advert, beside its destination."""
    return (instance.version, instance.source_address, instance.authentication, instance.auth_hmac)


Seal = AuthenticationHeader | HmacTrailer


def seal(instance: VrrpInstance, earlier: Seal | None = None) -> Seal | None:
    """What authenticates its adverts and those of others by numbers; None: nothing does, or a bare password.

    It goes on where an earlier one of the same router stopped.
    """
    peers = frozenset(packed(peer.address) for peer in instance.unicast_peers)
    if instance.auth_hmac is not None:
        trailer = HmacTrailer(instance.auth_hmac, instance.version, instance.virtual_router_id, peers)
        if isinstance(earlier, HmacTrailer):
            trailer.inherit(earlier)
        return trailer
    authentication = instance.authentication
    if authentication is None or authentication.type != "AH":
        return None
    sequence = earlier.sequence if isinstance(earlier, AuthenticationHeader) else 0
    return AuthenticationHeader(pass_data(authentication.password.reveal()), unicast=bool(peers), sequence=sequence)


def successions(old: Iterable[VrrpInstance], new: Iterable[VrrpInstance]) -> dict[str, str]:
    """Which old instance each new one goes on as after a reload, by their names; one that begins is not among them.

    A router is the same whatever its name: what counts are interface, family, VRID, and whether it has peers. Several
    that have all that in common, and peers of their own, are told apart by their names first.
    """
    before: dict[tuple[object, ...], list[str]] = {}
    for each in old:
        before.setdefault(_kind(each), []).append(each.name)
    wanted = list(new)
    found = {}
    for each in wanted:
        if each.name in before.get(_kind(each), ()):
            before[_kind(each)].remove(each.name)
            found[each.name] = each.name
    for each in wanted:
        if each.name not in found and before.get(_kind(each)):
            found[each.name] = before[_kind(each)].pop(0)
    return found


def _kind(instance: VrrpInstance) -> tuple[object, ...]:
    return (instance.interface, instance.family, instance.virtual_router_id, bool(instance.unicast_peers))
