"""Messages to and from rtnetlink as literal bytes (little endian, as all machines that run the tests)."""

from __future__ import annotations

import errno
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kad.linux.netlink.address import Address, encode_add, encode_delete, parse_address
from kad.linux.netlink.link import Elsewhere, parse_link
from kad.linux.netlink.network_table import Network
from kad.linux.netlink.socket import Message, Netlink, Overrun, attribute, attributes, message, messages
from kad.linux.refused import Refused


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def test_an_attribute_is_padded_but_tells_its_true_length() -> None:
    assert attribute(11, b"\x12") == hexed("0500 0b00 12 000000")
    assert attributes(hexed("0500 0b00 12 000000 0800 0180 01020304")) == {11: b"\x12", 1: b"\1\2\3\4"}


def test_attributes_that_are_cut_off_are_left_out() -> None:
    assert attributes(hexed("0500 0b00 12 000000 0800 0100 0102")) == {11: b"\x12"}
    assert attributes(hexed("0300 0b00 12")) == {}


def test_messages_of_one_datagram() -> None:
    first = hexed("14000000 0200 0000 07000000 00000000 ffffffff")
    second = hexed("11000000 1400 0200 08000000 00000000 aa 000000")
    assert list(messages(first + second + first[:10])) == [
        Message(2, 0, 7, b"\xff\xff\xff\xff"),
        Message(20, 2, 8, b"\xaa"),
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_split_without_an_error(data: bytes) -> None:
    attributes(data)
    for one in messages(data):
        assert len(one.body) <= len(data) - 16


def test_a_request_carries_its_length_and_the_request_flag() -> None:
    assert message(18, 0x300, b"\0" * 5) == hexed("15000000 1200 0103 00000000 00000000 0000000000 000000")


def test_adding_an_ipv4_address() -> None:
    assert encode_add(2, "10.77.0.100", 32) == hexed(
        "30000000 1400 0506 00000000 00000000 02 20 00 00 02000000"
        "0800 0200 0a4d0064 0800 0100 0a4d0064 0500 0b00 12000000"
    )


def test_adding_an_ipv4_address_with_everything() -> None:
    added = encode_add(
        3, "10.0.0.1", 24, broadcast="10.0.0.255", label="eth0:1", scope=253, peer="10.0.0.9", flags=0x200, protocol=0
    )
    assert added == hexed(
        "44000000 1400 0506 00000000 00000000 02 18 00 fd 03000000"
        "0800 0200 0a000001 0800 0100 0a000009 0800 0400 0a0000ff 0b00 0300 657468303a3100 00 0800 0800 00020000"
    )


def test_an_ipv6_host_address_skips_detection_and_is_never_a_source() -> None:
    packed = "fd000000000000000000000000000064"
    assert encode_add(2, "fd00::64", 128) == hexed(
        f"64000000 1400 0506 00000000 00000000 0a 80 02 00 02000000 1400 0200 {packed} 1400 0100 {packed}"
        "0800 0800 02000000 1400 0600 00000000 ffffffff 00000000 00000000 0500 0b00 12000000"
    )


def test_an_ipv6_address_with_a_network_stays_preferred() -> None:
    packed = "fd000000000000000000000000000064"
    assert encode_add(2, "fd00::64", 64, flags=0) == hexed(
        f"48000000 1400 0506 00000000 00000000 0a 40 00 00 02000000 1400 0200 {packed} 1400 0100 {packed}"
        "0500 0b00 12000000"
    )


def test_deleting_an_address() -> None:
    assert encode_delete(2, "10.77.0.100", 32) == hexed(
        "28000000 1500 0500 00000000 00000000 02 20 00 00 02000000 0800 0200 0a4d0064 0800 0100 0a4d0064"
    )


def test_an_address_that_the_kernel_tells() -> None:
    body = hexed(
        "02 18 80 00 02000000 0800 0100 0a000009 0800 0200 0a000001 0800 0400 0a0000ff"
        "0900 0300 6574683000 000000 0500 0b00 12000000 0800 0800 80020000"
    )
    address = Address(
        index=2,
        family=4,
        address="10.0.0.1",
        prefix=24,
        peer="10.0.0.9",
        broadcast="10.0.0.255",
        label="eth0",
        protocol=18,
        flags=0x280,
    )
    assert parse_address(Message(20, 0, 0, body)) == (address, False)
    assert parse_address(Message(21, 0, 0, body)) == (address, True)
    assert parse_address(Message(16, 0, 0, body)) is None


def test_an_ipv6_address_without_a_local_end() -> None:
    body = hexed("0a 40 c0 fd 03000000 1400 0100 fe80000000000000000000000000000a")
    parsed = parse_address(Message(20, 0, 0, body))
    assert parsed is not None
    assert (parsed[0].address, parsed[0].peer, parsed[0].scope, parsed[0].flags) == ("fe80::a", None, 253, 0xC0)


VETH = "0900 0300 6574683000 000000 0800 0400 dc050000 0a00 0100 020000000001 0000 0800 0500 09000000"
KIND = "0c00 1200 0800 0100 76657468"


@pytest.mark.parametrize(
    ("flags", "up", "arp", "loopback"),
    [
        ("43100100", True, True, False),  # UP BROADCAST RUNNING MULTICAST LOWER_UP
        ("03100000", False, True, False),  # no carrier
        ("42000000", False, True, False),  # down
        ("c1000000", True, False, False),  # NOARP
        ("49000100", True, True, True),  # loopback
    ],
)
def test_an_interface_that_the_kernel_tells(flags: str, up: bool, arp: bool, loopback: bool) -> None:
    body = hexed(f"00 00 0100 02000000 {flags} 00000000 {VETH} {KIND} 0800 0a00 05000000")
    parsed = parse_link(Message(16, 0, 0, body))
    assert parsed is not None
    link, deleted = parsed
    assert (link.up, link.arp, link.loopback, deleted) == (up, arp, loopback, False)
    assert (link.index, link.name, link.mtu, link.mac.hex(), link.kind) == (2, "eth0", 1500, "020000000001", "veth")
    assert (link.lower, link.master, link.hardware) == (9, 5, 1)


def test_a_deleted_interface_and_a_port_that_left_its_bridge() -> None:
    gone = hexed(f"00 00 0100 02000000 00000000 ffffffff {VETH}")
    assert (parse_link(Message(17, 0, 0, gone)) or (None, None))[1] is True
    left_bridge = b"\x07" + gone[1:]
    assert parse_link(Message(17, 0, 0, left_bridge)) is None


class Scripted:
    """A netlink socket whose kernel says what the test says; sequence numbers are those of the last request."""

    def __init__(self, *answers: tuple[int, bytes] | int) -> None:
        """(port, datagram) is received from that port, a number is the errno of receiving."""
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def getsockopt(self, level: int, option: int) -> int:
        return 1 << 20

    def send(self, data: bytes) -> None:
        self.sent.append(bytes(data))

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        answer = self.answers.pop(0) if self.answers else errno.EAGAIN
        if isinstance(answer, int):
            raise OSError(answer, "")
        return answer[1], (answer[0], 0)

    def recv(self, size: int) -> bytes:
        return self.recvfrom(size)[0]


def scripted(*answers: tuple[int, bytes] | int) -> tuple[Netlink, Scripted]:
    sock = Scripted(*answers)
    return Netlink(sock), sock  # type: ignore[arg-type]


DONE = "14000000 0300 0200 {:02x}000000 00000000 00000000"
ACK = "24000000 0200 0001 {:02x}000000 00000000 {} 14000000 1400 0500 {:02x}000000 00000000"
ROW = "14000000 1400 {}00 {:02x}000000 00000000 {}"
OK, EEXIST = "00000000", "efffffff"
KERNEL, PROCESS = 0, 4711


def test_the_interface_below_may_be_in_another_namespace() -> None:
    """IFLA_LINK (5) is an index of this namespace, unless IFLA_LINK_NETNSID (37) names another one."""
    head = hexed("00 00 0100 02000000 43100000 00000000 0900 0300 77616e30 00 000000 0800 0500 02000000")
    here, _ = parse_link(Message(16, 0, 0, head)) or (None, None)
    assert here is not None
    assert (here.lower, here.lower_elsewhere) == (2, None)
    there, _ = parse_link(Message(16, 0, 0, head + hexed("0800 2500 03000000"))) or (None, None)
    assert there is not None
    assert (there.lower, there.lower_elsewhere) == (0, Elsewhere(2, 3))
    unnamed, _ = parse_link(Message(16, 0, 0, head + hexed("0800 2500 ffffffff"))) or (None, None)
    assert unnamed is not None
    assert (unnamed.lower, unnamed.lower_elsewhere) == (0, Elsewhere(2, -1))


def test_answers_are_found_by_their_sequence_number() -> None:
    """A late answer to an earlier request, and the answers of a process that pretends, are not ours."""
    netlink, sock = scripted(
        (KERNEL, hexed(ACK.format(1, OK, 1))),
        (PROCESS, hexed(ACK.format(2, EEXIST, 2))),
        (KERNEL, hexed(ACK.format(1, EEXIST, 1))),
        (KERNEL, hexed(ACK.format(3, EEXIST, 3))),
        (KERNEL, hexed(ACK.format(2, OK, 2))),
    )
    one = message(20, 4, b"")
    assert netlink.request([one]) == [0]
    assert netlink.request([one, one]) == [0, errno.EEXIST]
    assert [data.hex() for data in sock.sent] == [
        "10000000140005000100000000000000",
        "10000000140005000200000000000000" + "10000000140005000300000000000000",
    ]


def test_a_request_without_an_answer_is_refused_and_its_late_answer_ignored() -> None:
    netlink, _ = scripted(
        errno.EAGAIN, (KERNEL, hexed(ACK.format(1, EEXIST, 1))), (KERNEL, hexed(ACK.format(2, OK, 2)))
    )
    with pytest.raises(Refused, match="netlink answer"):
        netlink.request([message(20, 4, b"")])
    assert netlink.request([message(20, 4, b"")]) == [0]


def test_an_interrupted_dump_is_made_again() -> None:
    whole, interrupted = "02", "12"
    netlink, _ = scripted(
        (KERNEL, hexed(ROW.format(interrupted, 1, "aaaaaaaa"))),
        (KERNEL, hexed(ROW.format(whole, 1, "bbbbbbbb") + DONE.format(1))),
        (KERNEL, hexed(ROW.format(whole, 1, "99999999"))),
        (KERNEL, hexed(ROW.format(whole, 2, "cccccccc") + ROW.format(whole, 2, "dddddddd"))),
        (KERNEL, hexed(DONE.format(2))),
    )
    assert [answer.body.hex() for answer in netlink.dump(message(22, 0x300, b""))] == ["cccccccc", "dddddddd"]


def test_a_monitor_believes_the_kernel_alone() -> None:
    netlink, _ = scripted(
        (PROCESS, hexed(ROW.format("00", 0, "aaaaaaaa"))), (KERNEL, hexed(ROW.format("00", 0, "bbbbbbbb")))
    )
    assert [told.body.hex() for told in netlink.receive()] == ["bbbbbbbb"]


def test_what_a_monitor_missed_is_an_overrun() -> None:
    with pytest.raises(Overrun):
        scripted(errno.ENOBUFS)[0].receive()
    with pytest.raises(Refused) as refused:
        scripted(errno.EBADF)[0].receive()
    assert refused.value.errno == errno.EBADF


def test_what_was_told_before_an_overrun_is_yesterday_s_news() -> None:
    older = (KERNEL, hexed(ROW.format("00", 0, "aaaaaaaa")))
    newer = (KERNEL, hexed(ROW.format("00", 0, "bbbbbbbb")))
    netlink, _ = scripted(errno.ENOBUFS, older, errno.ENOBUFS, older, errno.EAGAIN, newer)
    with pytest.raises(Overrun):
        netlink.receive()
    assert [told.body.hex() for told in netlink.receive()] == ["bbbbbbbb"]


def test_an_unprivileged_request_is_answered_with_its_errno() -> None:
    """Interface 2147483647 does not exist, whoever asks: ENODEV, or EPERM where we are nobody."""
    netlink = Netlink.open(receive_buffer=4096)
    answers = netlink.request([encode_add(2147483647, "192.0.2.1", 32)] * 300)
    assert len(answers) == 300
    assert set(answers) <= {errno.ENODEV, errno.EPERM}
    netlink.close()


def test_a_dump_that_the_kernel_refuses() -> None:
    netlink = Netlink.open()
    with pytest.raises(Refused) as refused:
        netlink.dump(message(0x7F, 0x300, bytes([socket.AF_INET]) + bytes(15)))
    assert refused.value.what == "netlink dump"
    assert refused.value.errno == errno.EOPNOTSUPP
    netlink.close()


def test_where_the_socket_fails_no_request_counts_as_done() -> None:
    class Commands:
        def request(self, batch: list[bytes]) -> list[int]:
            raise Refused("netlink request", errno.ENOBUFS)

    network = object.__new__(Network)
    network._commands = Commands()  # type: ignore[assignment]
    assert network.request([b"a", b"b"]) == [errno.ENOBUFS, errno.ENOBUFS]
