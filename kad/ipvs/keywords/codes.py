"""The findings about virtual servers."""

from __future__ import annotations

import enum

from kad.config.remark import Code


@enum.unique
class IpvsCode(Code):
    """Each with its sentence."""

    NOT_A_FIREWALL_MARK = "{text} is not a firewall mark of 0..{largest}"
    RANGE_REVERSED = "the range {text} ends before it begins"
    NOT_A_METHOD = "{method} is not one of NAT, DR, TUN"
    TUNNEL_PORT = "a gue tunnel needs a port, and no other has one"
    NAME_INCOMPLETE = "{kind} needs a {what}"
    FIREWALL_MARK_MISSING = "fwmark needs a number"
    NOT_AN_IP_FAMILY = "{family} is neither inet nor inet6"
    BAD_RANGE = "{text}: {error}"
    NOT_A_NETMASK_LENGTH = "{text} is not in 1..128"
    TIMEOUT_WITHOUT_SECONDS = "{name} needs seconds of 0..2678400"
    OPTION_WITHOUT_NUMBER = "{word} needs a number of {low}..{high}"
    TUNNEL_WITHOUT_TYPE = "type needs one of {tunnels}"
    NOT_A_TUNNEL_OPTION = "{word} is not one of type, port, nocsum, csum, remcsum"
    SYNC_GROUP_MISSING = "group needs a multicast address"
    NOT_A_SYNC_OPTION = "{word} is not one of inst, id, maxlen, port, ttl, group"
    SERVICE_LISTED_TWICE = "virtual_server {label} is listed twice; the first one is used"
    NO_SUCH_GROUP = "there is no virtual_server_group {group} with a member; the virtual_server is ignored"
    NO_REAL_SERVER = "virtual_server {name} has no real_server; it is ignored"
    GROUP_PORT_IGNORED = "{method} keeps the port of the client; {port} is ignored for {members}"
    MARK_HAS_NO_PROTOCOL = "a service by firewall mark has no protocol; {protocol} is ignored"
    NO_PORT_NEEDS_PERSISTENCE = (
        "virtual_server {name} has no port, which needs persistence; persistence_timeout 360 is used"
    )
    QUORUM_TOO_LARGE = "quorum {quorum} is more than all weights together, {total}; {total} is used"
    HYSTERESIS_TOO_LARGE = "hysteresis {hysteresis} is not below the quorum {quorum}; 0 is used"
    SAME_REAL_SERVER = "real_server {written} is listed twice, as {address} {port}; it is ignored"
    SORRY_SERVER_OF_OTHER_FAMILY = "sorry_server {sorry} is not of the family of {name}; it is ignored"
    SORRY_SERVER_INHIBIT_SET = (
        "sorry_server {sorry} is also a real_server, which stays with weight 0 when it fails; "
        "sorry_server_inhibit is set"
    )
    SORRY_SERVER_INHIBIT_IGNORED = (
        "sorry_server {sorry} is also a real_server, which leaves when it fails; sorry_server_inhibit is ignored"
    )
    PORT_IGNORED = "with {method} {kept}; {port} is ignored"
    FAMILY_CONTRADICTS_ADDRESS = "ip_family {ip_family} contradicts the address {address}; it is ignored"
    METHOD_AFTER_REAL_SERVER = (
        "lb_kind is written after a real_server: keepalived uses NAT for that one, kad uses lb_kind"
    )
    NO_PROTOCOL = "virtual_server {name} has no protocol; UDP is used"
    NO_SCHEDULER = "virtual_server {name} has no lb_algo; wlc is used"
    NO_METHOD = "virtual_server {name} has no lb_kind; NAT is used"
    OPS_FOR_UDP_ALONE = "ops, one packet at a time, is for UDP alone; it is ignored"
    REAL_SERVER_LISTED_TWICE = "real_server {name} is listed twice; the first one is used"
    REAL_SERVER_OF_OTHER_FAMILY = "real_server {name} is not of the family of {service}; it is ignored"
    NEEDS_SCHEDULER = "{word} has no effect without lb_algo {scheduler}; it is ignored"
    NEEDS_SORRY_SERVER = "{option} has no effect without sorry_server; it is ignored"
    BEFORE_SCHEDULER = "keepalived ignores {word} before lb_algo"
    TABLE_OF_VRRP = "the table {table} is that of nftables for VRRP; nftables_ipvs uses {table}_ipvs"
    ANSWERS_ARP = "this host is the real server {address}, and answers ARP for the address of the service"
    NO_EXPIRE_NODEST = "clients of a server that is taken out wait until their connections time out"
    NO_EXPIRE_QUIESCENT = "persistent clients of a server that is drained or inhibited still reach it"
    CONNECTION_TRACKING = "connection tracking of IPVS sees half of each connection by {method}"
    DROPS_TUNNELLED = "this host is the real server {address}, and drops what is tunnelled"
    NOT_FORWARDED = "replies of NAT are not forwarded"
    SYNC_DAEMON_FOLLOWS_NOTHING = (
        "lvs_sync_daemon follows {instance}, which is no vrrp_instance that runs: it stays backup"
    )
    GROUP_WITHOUT_MEMBER = "virtual_server_group {name} has no member; it is ignored"
