"""One VrrpInstance, built once, of all that is known about it; nothing is reported here."""

from __future__ import annotations

from typing import NamedTuple

from kad.config.build import Scope
from kad.model.tracking import TrackItem
from kad.model.vrrp import Announcing, VrrpInstance
from kad.vrrp.keywords.device_words import ExtraAnnouncing
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.instance_outline import InstanceOutline
from kad.vrrp.keywords.instance_words import AnnouncingWords, InstanceBlock
from kad.vrrp.keywords.resolve_devices import InstanceDevices
from kad.vrrp.keywords.resolve_groups import Membership
from kad.vrrp.keywords.resolve_instance import USUAL_MTU, authentication_length, checks_source, first
from kad.vrrp.keywords.resolve_routes import InstanceRouting


class InstanceParts(NamedTuple):
    """All that the configuration of VRRP says about one instance, but for its group."""

    block: InstanceBlock
    outline: InstanceOutline
    tracks: tuple[TrackItem, ...]
    """Its own, as far as they count."""
    notifies: tuple[str, ...]
    devices: InstanceDevices
    routing: InstanceRouting

    @property
    def state(self) -> str:
        return self.outline.state

    @property
    def priority(self) -> int:
        return self.outline.priority


class InstanceBuilder:
    """Builds the instances of one configuration."""

    def __init__(self, defaults: VrrpGlobals, scope: Scope, *, smtp_alert: bool) -> None:
        self._defaults = defaults
        self._scope = scope
        self._smtp_alert = smtp_alert

    def build(self, parts: InstanceParts, membership: Membership | None, served_address: str) -> VrrpInstance:
        """`membership`: None where it is in no group."""
        block, outline, devices, defaults = parts.block, parts.outline, parts.devices, self._defaults
        said, strict = block.protocol, outline.strict
        group_notifies = membership.notify_priority_changes if membership is not None else None
        return VrrpInstance(
            name=outline.name,
            state=outline.state,
            interface=outline.interface,
            device=devices.device,
            transmits_by_base=devices.transmits_by_base,
            further_devices=devices.further_devices,
            virtual_router_id=outline.virtual_router_id,
            version=outline.version,
            family=outline.family,
            priority=outline.priority,
            advertisement_interval=outline.advertisement_interval,
            source_address=devices.source_address,
            track_source=said.track_src_ip and outline.source_address is not None,
            multicast_group=outline.multicast_group,
            unicast_peers=outline.unicast_peers,
            unicast_ttl=first(255, said.unicast_ttl),
            unicast_fault_no_peer=said.unicast_fault_no_peer,
            check_unicast_src=checks_source(said, defaults, outline.unicast_peers),
            preempt=outline.preempt,
            preempt_delay=outline.preempt_delay,
            track_primary=outline.track_primary,
            receive_buffer=self._receive_buffer(block, outline),
            authentication=outline.authentication,
            auth_hmac=outline.auth_hmac,
            virtual_addresses=devices.virtual_addresses,
            excluded_addresses=devices.excluded_addresses,
            served_address=served_address,
            repeated_addresses=outline.repeated_addresses,
            routes=parts.routing.routes,
            rules=parts.routing.rules,
            announcing=_announcing(block.announcing, defaults, strict=strict),
            down_timer_adverts=outline.down_timer_adverts,
            lower_prio_no_advert=strict or first(False, said.lower_prio_no_advert, defaults.vrrp_lower_prio_no_advert),
            higher_prio_send_advert=not strict
            and first(False, said.higher_prio_send_advert, defaults.vrrp_higher_prio_send_advert),
            skip_check_adv_addr=said.skip_check_adv_addr is not None or first(False, defaults.vrrp_skip_check_adv_addr),
            v3_checksum_as_v2=first(defaults.v3_checksum_as_v2, said.v3_checksum_as_v2),
            old_unicast_checksum=first("auto", said.old_unicast_checksum),
            owner_ignore_adverts=strict or first(False, said.owner_ignore_adverts, defaults.vrrp_owner_ignore_adverts),
            invites_successor=first(not strict, defaults.vrrp_invite_successor),
            timer_expired_backup=outline.timer_expired_backup,
            accept=outline.accept,
            strict=strict,
            promote_secondaries=block.promote_secondaries,
            tracks=membership.tracks if membership is not None else parts.tracks,
            notifies=parts.notifies,
            notify_deleted=block.notify_deleted is not None,
            notify_priority_changes=first(
                False, block.notify_priority_changes, group_notifies, defaults.vrrp_notify_priority_changes
            ),
            smtp_alert=first(self._smtp_alert, block.smtp_alert),
        )

    def _receive_buffer(self, block: InstanceBlock, outline: InstanceOutline) -> int:
        """keepalived adds up what the instances of a socket ask for."""
        policy = self._defaults.vrrp_rx_bufs_policy
        if own := block.devices.kernel_rx_buf_size:
            return own
        if policy is None or policy.isdecimal():
            return int(policy or 0)
        known = self._scope.host.interfaces.get(outline.interface)
        size = known.mtu if known else USUAL_MTU
        if policy == "ADVERT":
            head = 48 if outline.family == 6 else 36 if outline.version == 2 else 28
            size = head + len(outline.virtual_addresses) * (16 if outline.family == 6 else 4)
            size += authentication_length(block, outline.version)
        return size * first(3, self._defaults.vrrp_rx_bufs_multiplier)


def _announcing(said: AnnouncingWords, defaults: VrrpGlobals, *, strict: bool) -> Announcing:
    least = bool(defaults.vrrp_min_garp)
    delay = first(0 if least else 5, said.garp_master_delay, defaults.vrrp_garp_master_delay)
    repeat = first(1 if least else 5, said.garp_master_repeat, defaults.vrrp_garp_master_repeat)
    # keepalived takes those of global_defs, whatever the instance says of its own first burst.
    lower_delay = first(
        0 if least else 5,
        said.garp_lower_prio_delay,
        defaults.vrrp_garp_lower_prio_delay,
        defaults.vrrp_garp_master_delay,
    )
    lower_repeat = first(
        1 if least else 5,
        said.garp_lower_prio_repeat,
        defaults.vrrp_garp_lower_prio_repeat,
        defaults.vrrp_garp_master_repeat,
    )
    said_of_lower = [said.garp_lower_prio_delay, said.garp_lower_prio_repeat]
    said_of_lower += [defaults.vrrp_garp_lower_prio_delay, defaults.vrrp_garp_lower_prio_repeat]
    elsewhere = first(ExtraAnnouncing(interval=0), said.garp_extra_if, defaults.vrrp_garp_extra_if)
    return Announcing(
        master_delay=float(delay),
        master_repeat=repeat,
        master_refresh=float(first(0, said.garp_master_refresh, defaults.vrrp_garp_master_refresh)),
        master_refresh_repeat=first(1, said.garp_master_refresh_repeat, defaults.vrrp_garp_master_refresh_repeat),
        lower_prio_delay=0.0 if strict else float(lower_delay),
        lower_prio_repeat=0 if strict else lower_repeat,
        lower_prio_pause=1.0 if all(word is None for word in said_of_lower) else 0.0,
        elsewhere=float(elsewhere.interval),
        elsewhere_all=elsewhere.all_interfaces,
        garp_interval=first(0.0, defaults.vrrp_garp_interval),
        gna_interval=first(0.0, defaults.vrrp_gna_interval),
    )
