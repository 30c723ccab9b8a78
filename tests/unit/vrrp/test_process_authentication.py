"""Adverts that bear numbers: no two are alike, none is believed twice, and the numbers outlive process and reload."""

from __future__ import annotations

from typing import Any

import pytest

from kad.model import secret
from kad.model.secret import Secret, SecretBytes
from kad.model.vrrp import Authentication, AuthHmac, HmacKey, VrrpInstance
from kad.shared.messages import Earlier, Resume
from kad.vrrp.advert_rules import message
from kad.vrrp.auth.trailer import HmacTrailer
from kad.vrrp.events import State
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.wire import advert_sockets
from tests.unit.vrrp.clockwork import House, address
from tests.unit.vrrp.samples import instance
from tests.unit.vrrp.test_ah import FIRST, SIXTH

UNIX = 0x68000000
KEY = HmacKey(id=1, secret=SecretBytes(bytes(range(32))))


def ah(**changes: Any) -> VrrpInstance:
    return instance(authentication=Authentication(type="AH", password=Secret("secret77")), **changes)


def hmac(**changes: Any) -> VrrpInstance:
    return instance(version=3, auth_hmac=AuthHmac(keys=(KEY,), active_key=1, **changes))


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(monkeypatch)
    made.network.held[1] = [address("10.77.0.2", 24, 1)]
    made.room._conversations._unix = lambda: UNIX + made.mux.time
    return made


def sent(house: House) -> list[bytes]:
    """Whole packets, in their order."""
    return [bytes(datagram._memory) for datagrams in house.segment().sent for datagram in datagrams]


def ah_numbers(house: House) -> list[int]:
    at = [packet.index(b"\x45\xc0\0\x40") for packet in sent(house)]
    return [
        int.from_bytes(packet[start + 28 : start + 32], "big") for start, packet in zip(at, sent(house), strict=True)
    ]


def test_the_numbers_of_ah_go_on_from_what_was_heard(house: House) -> None:
    house.commit(ah())
    assert house.segment().ah
    house.arrive(SIXTH)
    house.run(3.8)
    (one,) = house.instances
    assert one.router.state is State.MASTER
    assert ah_numbers(house) == [7]
    house.run(2.0)
    assert ah_numbers(house) == [7, 8, 9]
    assert house.mux.page.spoken(one.slot).sequence == 9


def test_a_repeated_packet_is_no_sign_of_life(house: House) -> None:
    house.commit(ah())
    for _ in range(8):
        house.arrive(FIRST)
        house.run(0.5)
    (one,) = house.instances
    assert one.received == 1
    assert one.router.state is State.MASTER
    assert one.snapshot(0.0, frozenset())["statistics"]["auth_failure"] == 7
    assert one.snapshot(0.0, frozenset())["discarded"] == {"ah_sequence": 7}
    assert [line for line in house.lines if "discarded" in line] == [
        "(VI_1) advert from 10.77.0.1 discarded: its sequence number was heard before"
    ]


def test_a_new_life_uses_no_number_again(house: House) -> None:
    before = Instance(ah(), 0.0).state_message()
    earlier = Earlier(state=before, spoke_at=house.mux.time, sent=4, received=0, sequence=40)
    house.room.receive(Resume(routers=(earlier,)))
    house.commit(ah())
    house.arrive(SIXTH)
    assert house.instances[0].received == 0
    house.run(4.0)
    assert ah_numbers(house)[0] == 41


def test_another_router_in_the_same_slot_begins_anew(house: House) -> None:
    house.commit(ah())
    house.arrive(SIXTH)
    slot = house.instances[0].slot
    assert house.mux.page.spoken(slot).sequence == 6
    house.commit()
    house.commit(ah(virtual_router_id=52))
    assert house.instances[0].slot == slot
    assert house.mux.page.spoken(slot).sequence == 0


def test_a_reload_keeps_the_number_and_takes_the_password(house: House) -> None:
    house.commit(instance(authentication=Authentication(type="AH", password=Secret("other"))))
    house.arrive(FIRST)
    assert house.instances[0].received == 0
    house.commit(ah())
    house.arrive(FIRST)
    assert house.instances[0].received == 1
    house.commit(ah(priority=90))
    house.arrive(FIRST)
    assert house.instances[0].received == 1


def test_ah_is_heard_only_where_somebody_wants_it(house: House) -> None:
    house.commit(instance())
    plain = house.segment()
    assert not plain.ah
    house.commit(ah())
    assert plain.closed
    assert house.segment().ah
    assert house.instances[0].outbox is house.segment().outbox[True]


def test_hmac_signs_each_advert_anew(house: House) -> None:
    house.commit(hmac())
    house.run(5.0)
    assert house.instances[0].router.state is State.MASTER
    signed = [packet[-28:] for packet in sent(house)]
    assert len(signed) == len(set(signed)) == 2
    seconds = [int.from_bytes(trailer[4:8], "big") for trailer in signed]
    assert seconds == [UNIX + 1003, UNIX + 1004]
    assert house.mux.page.spoken(house.instances[0].slot).sequence >> 32 == UNIX + 1004


def test_hmac_believes_a_signature_once(house: House) -> None:
    house.commit(hmac())
    theirs = hmac()
    assert theirs.auth_hmac is not None
    signer = HmacTrailer(theirs.auth_hmac, 3, 51)
    body = message(theirs, 150, "10.77.0.9", "224.0.0.18", old_unicast=False)
    source = bytes([10, 77, 0, 9])

    def packet() -> bytes:
        signer.advance(UNIX + house.mux.time)
        whole = signer.attach(body, source, b"")
        head = bytes.fromhex(f"45c0{20 + len(whole):04x}00000000ff700000") + source + bytes([224, 0, 0, 18])
        return head + whole

    one = packet()
    house.arrive(one, one, packet())
    (router,) = house.instances
    assert router.received == 2
    house.run(6.0)
    assert router.router.state is State.MASTER
    house.arrive(one)
    unsigned = one[:2] + (32).to_bytes(2, "big") + one[4:32]
    house.arrive(unsigned)
    statistics = router.snapshot(0.0, frozenset())["statistics"]
    counted = {name: number for name, number in statistics.items() if name.startswith("auth_ext") and number}
    assert counted == {"auth_ext_missing": 1, "auth_ext_stale": 1, "auth_ext_replay": 1}


def test_no_dump_tells_a_secret(house: House) -> None:
    house.commit(ah(virtual_router_id=52), hmac())
    text = secret.to_json([each.snapshot(0.0, frozenset()) for each in house.instances]).decode()
    assert "secret77" not in text
    assert '"password":"****"' in text
    assert '"secret":"****"' in text


def test_who_does_not_sign_is_named_where_it_counts(house: House) -> None:
    house.commit(hmac(mode="permissive"))
    body = message(hmac(), 150, "10.77.0.9", "224.0.0.18", old_unicast=False)
    plain = bytes.fromhex("45c0002000000000ff7000000a4d0009e0000012") + body
    house.arrive(plain, plain, plain)
    assert house.instances[0].received == 3
    assert house.instances[0].discarded == {advert_sockets.Finding.EXTENSION_ABSENT: 3}
    assert [line for line in house.lines if "does not sign" in line] == [
        "(VI_1) 10.77.0.9 does not sign its adverts; the mode of auth_hmac lets them pass"
    ]
