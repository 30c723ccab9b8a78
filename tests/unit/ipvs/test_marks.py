"""Which mark a virtual server gets and keeps, and which packets bear it."""

from __future__ import annotations

from kad.ipvs.fwmarks import Marked, allot, marked, packets
from kad.model.ipvs import Member, VirtualServer


def group(name: str, *members: Member, protocol: str = "TCP") -> VirtualServer:
    return VirtualServer(name=f"group {name}", group=name, protocol=protocol, members=members, by_mark=True)


def web(first: str, last: str = "", port: int = 80) -> Member:
    return Member(first=first, last=last or first, port=port, family=6 if ":" in first else 4)


ONE, TWO, THREE = (group(name, web(f"192.0.2.{n}")) for n, name in enumerate(("one", "two", "three"), 1))
FIXED = VirtualServer(name="fwmark 1001", fwmark=1001, members=(Member(fwmark=1001),))


def test_marks_are_allotted_in_order_and_kept() -> None:
    marks = allot((ONE, FIXED, TWO, THREE), {}, 1000)
    assert marks == {"group one": 1000, "group two": 1002, "group three": 1003}
    later = allot((group("new", web("192.0.2.9")), THREE, TWO), marks, 1000)
    assert later == {"group new": 1000, "group three": 1003, "group two": 1002}
    # Somebody names it in the configuration now.
    taken = VirtualServer(name="fwmark 1002", fwmark=1002, members=(Member(fwmark=1002),))
    assert allot((TWO, taken), marks, 1000) == {"group two": 1000}


def test_a_mark_is_served_for_each_family_of_the_addresses() -> None:
    both = group("both", web("192.0.2.1"), web("192.0.2.5"), web("2001:db8::1"))
    expected = (Member(fwmark=7, family=4), Member(fwmark=7, family=6))
    assert marked(both, {"group both": 7}).members == expected
    assert marked(FIXED, {"group both": 7}) is FIXED


def test_no_address_has_two_marks_for_one_port() -> None:
    base = int.from_bytes(bytes((192, 0, 2, 0)))
    first = group("first", web("192.0.2.10", "192.0.2.20"), web("192.0.2.30"))
    second = group("second", web("192.0.2.5", "192.0.2.40"), web("192.0.2.10", port=0), web("192.0.2.20", port=81))
    other = group("other", web("192.0.2.10"), protocol="UDP")
    found, said = packets((first, second, other), {"group first": 1, "group second": 2, "group other": 3})
    assert [(one.first - base, one.last - base, one.port, one.mark) for one in found] == [
        (10, 20, 80, 1),
        (30, 30, 80, 1),
        (5, 9, 80, 2),
        (21, 29, 80, 2),
        (31, 40, 80, 2),
        (10, 10, 0, 2),
        (20, 20, 81, 2),
        (10, 10, 80, 3),
    ]
    assert said == [
        "of 192.0.2.5-192.0.2.40 port 80 of virtual_server group second another one has some already",
    ]
    assert found[-1] == Marked(4, "UDP", base + 10, base + 10, 80, 3)
