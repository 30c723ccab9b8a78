"""One vrrp_instance from the words of the file: inheritance, and the rules that join several words."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.keyword import Block
from kad.config.remark import Remark
from kad.config.values import family_of
from kad.model.tracking import TrackItem
from kad.model.vrrp import OWNER_PRIORITY, Authentication, UnicastPeer, VirtualAddress
from kad.vrrp.keywords.address_words import AddressLine, identity
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.instance_outline import InstanceOutline
from kad.vrrp.keywords.instance_words import InstanceBlock, ProtocolWords
from kad.vrrp.keywords.resolve_auth_hmac import HmacResolver

AH_LENGTH, TRAILER_LENGTH = 24, 28
"""Bytes of what authenticates an advert."""
_LONGEST_V3_INTERVAL = 40.95
_MOST_ADDRESSES = 255
USUAL_MTU = 1500
_V = TypeVar("_V")


def first(default: _V, *written: _V | None) -> _V:
    """The first value that was written, else the default."""
    return next((value for value in written if value is not None), default)


def authentication_length(block: InstanceBlock, version: int) -> int:
    """Bytes that an advert of that version has behind its addresses."""
    if block.auth_hmac:
        return TRAILER_LENGTH
    old = block.authentication
    return AH_LENGTH if version == 2 and old is not None and old.auth_type == "AH" else 0


def checks_source(said: ProtocolWords, defaults: VrrpGlobals, peers: Iterable[UnicastPeer]) -> bool:
    """A limit for the TTL of one peer is a check of the source, as in keepalived."""
    return (
        said.check_unicast_src
        or defaults.vrrp_check_unicast_src
        or any(peer.min_ttl is not None or peer.max_ttl is not None for peer in peers)
    )


def _on_interface(addresses: tuple[VirtualAddress, ...], interface: str) -> tuple[VirtualAddress, ...]:
    """Those that name no interface are on this one."""
    return tuple(msgspec.structs.replace(each, device=each.device or interface) for each in addresses)


class InstanceResolver:
    """What the words of one block mean; everything that is wrong with them is reported."""

    def __init__(self, block: InstanceBlock, defaults: VrrpGlobals, scope: Scope) -> None:
        self._block = block
        self._said = block.protocol
        self._defaults = defaults
        self._scope = scope
        self._strict = bool(first(False, block.protocol.strict_mode, defaults.vrrp_strict))
        self._family = self._find_family()
        self._version = 2

    def outline(self, tracks: tuple[TrackItem, ...], default_interface: str) -> InstanceOutline | None:
        """None when the instance cannot run.

        `default_interface`: where addresses are if neither they nor the instance name one.
        """
        said, block = self._said, self._block
        if said.virtual_router_id is None:
            self._warn("", VrrpCode.NO_VIRTUAL_ROUTER_ID(), "add virtual_router_id with 1..255")
            return None
        interface = self._interface()
        if interface is None:
            return None
        self._version = self._find_version()
        listed, repeated = self._addresses(block.virtual_ipaddress, "virtual_ipaddress")
        further, _ = self._addresses(block.virtual_ipaddress_excluded, "virtual_ipaddress_excluded", tuple(listed))
        if not listed and not self._may_be_empty():
            return None
        own, surplus = self._fitting(tuple(listed), len(repeated), interface)
        excluded = (*surplus, *further)
        if not interface:
            own, excluded = _on_interface(own, default_interface), _on_interface(excluded, default_interface)
        priority = self._priority()
        peers = self._peers()
        state = self._state(priority)
        interval = self._interval()
        hmac = HmacResolver(block, self._scope).resolve(interval, strict=self._strict)
        authentication = self._authentication()
        if (
            authentication is not None
            and authentication.type == "AH"
            and state == "MASTER"
            and priority != OWNER_PRIORITY
        ):
            self._warn("auth_type", VrrpCode.AH_STARTS_AS_BACKUP(), at=block.authentication)
            state = "BACKUP"
        source = self._source()
        if self._strict:
            self._tell_forced()
        return InstanceOutline(
            name=block.name,
            state=state,
            interface=interface,
            virtual_router_id=said.virtual_router_id,
            version=self._version,
            family=self._family,
            priority=priority,
            advertisement_interval=interval,
            source_address=source,
            multicast_group=self._group(),
            unicast_peers=peers,
            preempt=self._preempts(state, priority),
            preempt_delay=self._preempt_delay(state),
            track_primary=not block.dont_track_primary,
            authentication=authentication,
            auth_hmac=hmac,
            virtual_addresses=own,
            excluded_addresses=excluded,
            repeated_addresses=() if surplus else tuple(repeated),
            down_timer_adverts=3
            if self._strict
            else first(3, said.down_timer_adverts, self._defaults.vrrp_down_timer_adverts),
            timer_expired_backup=self._timer_expired_backup(),
            accept=self._accepts(),
            strict=self._strict,
            tracks=tracks,
        )

    def _at(self, name: str) -> Place:
        return self._scope.places.find(name, self._block, self._said, self._block.devices, self._block.announcing)

    def _warn(
        self, name: str, remark: Remark, proposal: str = "", *, at: Block | None = None, about_host: bool = False
    ) -> None:
        place = self._scope.places.of(at, name) if at is not None else self._at(name)
        self._scope.report.warning(place, remark.of(self._block.name), proposal=proposal, about_host=about_host)

    def _find_family(self) -> int:
        texts = [line.address.address for line in self._block.virtual_ipaddress]
        families = set(map(family_of, texts))
        if self._said.native_ipv6 and families != {4}:
            # As keepalived: of both families the first address counts, if it stands before native_ipv6.
            places = self._scope.places
            is_behind = 4 in families and places.of(self._block, "virtual_ipaddress") < self._at("native_ipv6")
            return family_of(texts[0]) if is_behind else 6
        texts += [text for text in (self._said.mcast_src_ip, self._said.unicast_src_ip) if text]
        texts += [peer.address for peer in self._said.unicast_peer or ()]
        return family_of(texts[0]) if texts else 4

    def _find_version(self) -> int:
        said = self._said.version
        if self._family == 6:
            if said == "2":
                self._warn("version", VrrpCode.IPV6_WITH_VERSION_2())
            return 3
        return int(first("2", said, self._defaults.vrrp_version))

    def _interface(self) -> str | None:
        name = self._said.interface
        known = self._scope.host.interfaces
        if name is None and self._block.devices.vrf is not None:
            return self._vrf(self._block.devices.vrf)
        if name is None:
            return "" if self._needs_no_interface() else None
        if name in known and known[name].is_loopback:
            self._warn("interface", VrrpCode.INTERFACE_IS_LOOPBACK(name=name))
            return None
        if name not in known:
            self._scope.tell_absent(name, self._at("interface"), self._block.name)
        return name

    @property
    def _written_source(self) -> str | None:
        return first(None, self._said.unicast_src_ip, self._said.mcast_src_ip)

    def _needs_no_interface(self) -> bool:
        """Unicast finds its way by the routes of this host, unless its addresses mean something on one link only."""
        said = self._said
        source = self._written_source
        if not said.unicast_peer or source is None:
            self._warn(
                "",
                VrrpCode.INTERFACE_MISSING(),
                "add interface IFNAME; only unicast does without, and needs unicast_src_ip ADDRESS then",
            )
            return False
        addresses = (source, *(peer.address for peer in said.unicast_peer))
        if any(ipaddress.ip_address(each).is_link_local for each in addresses if ":" in each):
            self._warn("", VrrpCode.LINK_LOCAL_WITHOUT_INTERFACE(), "add interface IFNAME")
            return False
        return True

    def _vrf(self, name: str) -> str | None:
        """Sockets that are bound to a VRF speak and hear on all of its interfaces."""
        if not self._said.unicast_peer:
            self._warn("vrf", VrrpCode.VRF_WITHOUT_UNICAST(), "add interface IFNAME, or unicast_peer")
            return None
        known = self._scope.host.interfaces.get(name)
        if known is None:
            self._warn("vrf", VrrpCode.NO_SUCH_VRF(name=name), about_host=True)
        elif known.vrf_table is None:
            self._warn("vrf", VrrpCode.NOT_A_VRF(name=name), about_host=True)
            return None
        return name

    def _priority(self) -> int:
        if self._said.priority is not None:
            return self._said.priority
        return OWNER_PRIORITY if self._said.state == "MASTER" else 100

    def _state(self, priority: int) -> str:
        wish = self._said.state or ("MASTER" if priority == OWNER_PRIORITY else "BACKUP")
        fitting = "MASTER" if priority == OWNER_PRIORITY else "BACKUP"
        if self._strict and wish != fitting:
            self._warn(
                "state",
                VrrpCode.STRICT_STATE_IGNORED(priority=priority, fitting=fitting, wish=wish),
            )
            return fitting
        return wish

    def _tell_forced(self) -> None:
        """What strict mode does whatever is written."""
        said, announcing = self._said, self._block.announcing
        forced = {
            "down_timer_adverts": first(3, said.down_timer_adverts, self._defaults.vrrp_down_timer_adverts) != 3,
            "lower_prio_no_advert": said.lower_prio_no_advert is False,
            "higher_prio_send_advert": bool(said.higher_prio_send_advert),
            "owner_ignore_adverts": said.owner_ignore_adverts is False,
            "garp_lower_prio_repeat": bool(announcing.garp_lower_prio_repeat),
            "garp_lower_prio_delay": bool(announcing.garp_lower_prio_delay),
        }
        for word in (word for word, is_forced in forced.items() if is_forced):
            self._warn(word, VrrpCode.NOT_WITH_STRICT(word=word))

    def _interval(self) -> float:
        asked = first(1.0, self._said.advert_int)
        if self._version == 2:
            whole = max(1, int(asked + 0.5))
            if whole != asked:
                self._warn("advert_int", VrrpCode.INTERVAL_IN_SECONDS(asked=asked, whole=whole))
            return float(whole)
        if asked > _LONGEST_V3_INTERVAL:
            self._warn("advert_int", VrrpCode.INTERVAL_TOO_LONG(longest_v3_interval=_LONGEST_V3_INTERVAL))
            return _LONGEST_V3_INTERVAL
        rounded = max(1, int(asked * 100 + 0.5)) / 100
        if abs(rounded - asked) > 1e-9:
            self._warn("advert_int", VrrpCode.INTERVAL_IN_HUNDREDTHS(asked=asked, rounded=rounded))
        return rounded

    def _addresses(
        self, lines: tuple[AddressLine, ...], name: str, others: tuple[VirtualAddress, ...] = ()
    ) -> tuple[list[VirtualAddress], list[str]]:
        """The addresses, each once, and those that are there already, `others` included."""
        kept, repeated = [], []
        known = {identity(each, self._said.interface or "") for each in others}
        for index, line in enumerate(lines):
            place = self._scope.places.of(self._block, name, index)
            found = line.address
            device = found.device
            if name == "virtual_ipaddress" and family_of(found.address) != self._family:
                remark = VrrpCode.ADDRESS_OF_OTHER_FAMILY(family=self._family, address=found.address)
                self._scope.report.warning(
                    place, remark.of(self._block.name), proposal="put it into virtual_ipaddress_excluded"
                )
                continue
            if line.track_group is not None:
                remark = VrrpCode.TRACK_GROUP_OF_VIRTUAL_ADDRESS().of(self._block.name)
                self._scope.report.warning(place, remark)
            same = identity(found, self._said.interface or "")
            if same in known:
                remark = VrrpCode.LISTED_TWICE(name=found.address).of(self._block.name)
                self._scope.report.note(place, remark)
                repeated.append(found.address)
                continue
            known.add(same)
            if device is not None and device not in self._known_devices():
                self._scope.tell_absent(device, place, self._block.name)
            kept.append(found)
        return kept, repeated

    def _known_devices(self) -> set[str]:
        """Interfaces that are there, or will be."""
        vmac, prefix = self._block.devices.use_vmac, first("vrrp", self._defaults.vmac_prefix)
        own = {self._said.interface or ""}
        if vmac is not None:
            own.add(vmac.name or f"{prefix}.{self._said.virtual_router_id}")
        return own | self._scope.host.interfaces.keys()

    def _fitting(
        self, addresses: tuple[VirtualAddress, ...], repeated: int, interface: str
    ) -> tuple[tuple[VirtualAddress, ...], tuple[VirtualAddress, ...]]:
        """What one advert can name, and what must be held without being named."""
        known = self._scope.host.interfaces.get(interface)
        room = (known.mtu if known else USUAL_MTU) - (48 if self._family == 6 else 36 if self._version == 2 else 28)
        room -= authentication_length(self._block, self._version)
        most = max(0, min(_MOST_ADDRESSES, room // (16 if self._family == 6 else 4)) - repeated)
        if len(addresses) > most:
            self._warn(
                "virtual_ipaddress",
                VrrpCode.TOO_MANY_ADDRESSES(most=most, more=len(addresses) - most),
                "put them into virtual_ipaddress_excluded",
            )
        return addresses[:most], addresses[most:]

    def _may_be_empty(self) -> bool:
        """A router without addresses: version 2 may, others are ignored."""
        if self._version == 3 or self._strict:
            rule = "strict mode" if self._strict else "version 3"
            self._warn("", VrrpCode.ADDRESSES_MISSING(rule=rule), "add virtual_ipaddress { ADDRESS }")
            return False
        if not self._block.no_virtual_ipaddress:
            self._warn("", VrrpCode.NO_ADDRESSES(), "add virtual_ipaddress { ADDRESS }, or no_virtual_ipaddress")
        return True

    def _source(self) -> str | None:
        name = "unicast_src_ip" if self._said.unicast_src_ip is not None else "mcast_src_ip"
        source = self._written_source
        if source is not None and family_of(source) != self._family:
            self._warn(name, VrrpCode.SOURCE_OF_OTHER_FAMILY(address=source, family=self._family))
            return None
        if source is not None and self._scope.host.addresses and source not in self._scope.host.addresses:
            remark = VrrpCode.NOT_AN_ADDRESS_OF_HOST(source=source).of(self._block.name)
            self._scope.report.note(self._at(name), remark, about_host=True)
        return source

    def _group(self) -> str:
        said = self._said.mcast_dst_ip
        if said is not None and self._said.unicast_peer:
            self._warn("mcast_dst_ip", VrrpCode.MULTICAST_WITH_UNICAST())
            said = None
        if said is not None and family_of(said) == self._family:
            return said
        if said is not None:
            self._warn("mcast_dst_ip", VrrpCode.SOURCE_OF_OTHER_FAMILY(address=said, family=self._family))
        if self._family == 6:
            return first("ff02::12", self._defaults.vrrp_mcast_group6)
        return first("224.0.0.18", self._defaults.vrrp_mcast_group4)

    def _peers(self) -> tuple[UnicastPeer, ...]:
        said, peers = self._said, self._said.unicast_peer
        words = {"unicast_src_ip": said.unicast_src_ip, "old_unicast_checksum": said.old_unicast_checksum}
        asked = [word for word, value in words.items() if value is not None]
        asked += ["check_unicast_src"] if said.check_unicast_src else []
        if not peers and said.unicast_ttl is not None:
            self._warn("unicast_ttl", VrrpCode.UNICAST_TTL_WITHOUT_UNICAST())
        if peers is None and not asked:
            return ()
        kept = []
        for index, peer in enumerate(peers or ()):
            place = self._scope.places.of(self._said, "unicast_peer", index)
            if family_of(peer.address) == self._family:
                kept.append(peer)
                if peer.address in self._scope.host.addresses:
                    remark = VrrpCode.PEER_IS_THIS_HOST(address=peer.address).of(self._block.name)
                    self._scope.report.note(place, remark, about_host=True)
                continue
            self._scope.report.warning(place, VrrpCode.PEER_OF_OTHER_FAMILY(address=peer.address).of(self._block.name))
        if kept and not checks_source(said, self._defaults, kept):
            self._scope.report.note(
                self._scope.places.of(said, "unicast_peer"),
                VrrpCode.PEERS_NOT_CHECKED().of(self._block.name),
                proposal="add check_unicast_src",
            )
        if not kept and not said.unicast_fault_no_peer:
            word = asked[0] if peers is None else "unicast_peer"
            self._warn(word, VrrpCode.NO_UNICAST_PEER(), "add unicast_peer { ADDRESS }")
        return tuple(kept)

    def _preempts(self, state: str, priority: int) -> bool:
        if not self._said.nopreempt:
            return True
        if state == "MASTER" or priority == OWNER_PRIORITY:
            reason = "state MASTER" if state == "MASTER" else f"priority {OWNER_PRIORITY}"
            self._warn("nopreempt", VrrpCode.NOPREEMPT_COMBINED(reason=reason), "write state BACKUP")
            return True
        return False

    def _timer_expired_backup(self) -> int | None:
        said = self._said.timer_expired_backup
        if said is not None and not self._said.nopreempt:
            self._warn("timer_expired_backup", VrrpCode.TIMER_EXPIRED_BACKUP_WITHOUT_NOPREEMPT(), "add nopreempt")
            return None
        return said

    def _preempt_delay(self, state: str) -> float:
        delay = first(0.0, self._said.preempt_delay)
        if not delay:
            return 0.0
        if self._strict or state == "MASTER":
            reason = "strict mode" if self._strict else "state MASTER"
            self._warn("preempt_delay", VrrpCode.PREEMPT_DELAY_COMBINED(reason=reason))
            return 0.0
        return delay

    def _accepts(self) -> bool:
        if self._strict and self._version == 2 and self._said.accept:
            self._warn("accept", VrrpCode.STRICT_ACCEPTS_NOTHING())
            return False
        return self._said.accept or not (self._said.no_accept or self._strict)

    def _authentication(self) -> Authentication | None:
        block = self._block.authentication
        if block is None:
            return None
        if self._block.auth_hmac is not None:
            self._warn("authentication", VrrpCode.AUTHENTICATION_WITH_HMAC())
            return None
        if self._version == 3 or self._strict:
            rule = "strict mode" if self._strict else "version 3"
            self._warn("authentication", VrrpCode.AUTHENTICATION_NOT_SUPPORTED(rule=rule))
            return None
        if block.auth_type is None:
            place = self._scope.places.of(block)
            remark = VrrpCode.NO_AUTH_TYPE().of(self._block.name)
            self._scope.report.note(place, remark, proposal="add auth_type PASS")
            return None
        if not block.auth_pass:
            remark = VrrpCode.NO_AUTH_PASS()
            self._warn("", remark, "add auth_pass", at=block)
            return None
        return Authentication(type=block.auth_type, password=block.auth_pass)
