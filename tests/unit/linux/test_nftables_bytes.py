"""Requests to nf_tables as literal bytes, and what is sent when only elements differ."""

from __future__ import annotations

import msgspec

from kad.linux.netlink.nftables import (
    META_MARK,
    TYPE_IPV4,
    TYPE_MARK,
    TYPE_PORT,
    Chain,
    NamedSet,
    Table,
    among,
    drop,
    encode_change,
    encode_removal,
    encode_table,
    payload,
    return_,
    rule,
    set_meta,
)

SET = NamedSet(name="vips", types=(TYPE_IPV4,), length=4, elements={b"\x0a\x4d\0\x64": b""})
CHAIN = Chain(name="in", hook=1, priority=-1, rules=(rule(payload(16, 4), among("vips"), drop()),))
TABLE = Table(family=4, name="kad", sets=(SET,), chains=(CHAIN,))


def body(request: bytes) -> str:
    """Behind the netlink header."""
    return request[16:].hex()


def test_a_table_is_removed_whether_it_is_there_or_not() -> None:
    make, remove = encode_removal(6, "kad")
    # NFT_MSG_NEWTABLE with NLM_F_CREATE, then NFT_MSG_DELTABLE; AF_INET6, NFTA_TABLE_NAME.
    assert make[4:8].hex() == "000a0504"
    assert remove[4:8].hex() == "020a0500"
    assert body(make) == body(remove) == "0a000000" + "0800010" + "06b616400"


def test_a_rule_that_drops_what_is_in_a_set() -> None:
    load, look, verdict = payload(16, 4), among("vips"), drop()
    # NFTA_LIST_ELEM { NFTA_EXPR_NAME "payload", NFTA_EXPR_DATA { DREG 1, BASE network, OFFSET 16, LEN 4 } }
    assert load.hex() == (
        "34000180" "0c000100" "7061796c6f616400"
        "24000280" "0800010000000001" "0800020000000001" "0800030000000010" "0800040000000004"
    )  # fmt: skip
    assert look.hex() == (
        "28000180" "0b000100" "6c6f6f6b75700000"
        "18000280" "09000100" "7669707300000000" "0800020000000001"
    )  # fmt: skip
    # The verdict goes to register 0: NF_DROP.
    assert verdict.hex() == (
        "30000180" "0e000100" "696d6d656469617465000000"
        "1c000280" "0800010000000000" "10000280" "0c000280" "0800010000000000"
    )  # fmt: skip
    assert rule(load, look, verdict) == load + look + verdict
    assert b"counter" in rule(load, look, verdict, counted=True)


def test_only_what_differs_is_changed() -> None:
    other = msgspec.structs.replace(SET, elements={b"\x0a\x4d\0\x65": b""})
    change = encode_change(TABLE, msgspec.structs.replace(TABLE, sets=(other,)))
    assert change is not None
    # NFT_MSG_DELSETELEM, then NFT_MSG_NEWSETELEM.
    assert [request[4] for request in change] == [14, 12]
    assert change[0].endswith(bytes.fromhex("0a4d0064"))
    assert change[1].endswith(bytes.fromhex("0a4d0065"))
    assert encode_change(TABLE, TABLE) == []
    assert encode_change(TABLE, msgspec.structs.replace(TABLE, name="other")) is None
    # Removed and made, table, set, elements, chain and rule.
    assert [request[4] for request in encode_table(TABLE)] == [0, 2, 0, 9, 12, 3, 6]


def test_a_map_of_ranges_has_the_first_and_the_last_key_of_each() -> None:
    first, last = bytes.fromhex("c000020a00500000"), bytes.fromhex("c000020c00500000")
    types = (TYPE_IPV4, TYPE_PORT)
    elements = {first + last: bytes.fromhex("e8030000")}
    ranges = NamedSet(name="m", types=types, length=8, elements=elements, data_type=TYPE_MARK, ranges=(4, 2))
    _, _, _, made, filled = encode_table(Table(family=4, name="kad", sets=(ranges,), chains=()))
    # FLAGS interval, map, concat; KEY_TYPE ipv4_addr . inet_service, KEY_LEN; ID; DATA_TYPE mark, DATA_LEN;
    # DESC { CONCAT { FIELD_LEN 4, FIELD_LEN 2 } }; USERDATA: keys are big-endian, the mark is the host's.
    assert body(made).endswith(
        "080003000000008c" "08000400000001cd" "0800050000000008" "08000a0000000001"
        "0800060000000013" "0800070000000004"
        "20000980" "1c000280" "0c000180" "0800010000000004" "0c000180" "0800010000000002"
        "10000d00" "000402000000" "010401000000"
    )  # fmt: skip
    # KEY, DATA, KEY_END
    assert body(filled).endswith(
        "30000180" "10000180" "0c000100" "c000020a00500000" "0c000280" "08000100" "e8030000"
        "10000a80" "0c000100" "c000020c00500000"
    )  # fmt: skip
    assert set_meta(META_MARK).hex() == (
        "24000180" "09000100" "6d65746100000000" "14000280" "0800020000000003" "0800030000000001"
    )  # fmt: skip
    # NF_RETURN
    assert return_().endswith(bytes.fromhex("08000100fffffffb"))


def test_many_elements_go_in_several_requests() -> None:
    many = msgspec.structs.replace(SET, elements={number.to_bytes(4, "big"): b"" for number in range(1001)})
    requests = encode_table(msgspec.structs.replace(TABLE, sets=(many,)))
    assert [request[4] for request in requests].count(12) == 3
    assert max(map(len, requests)) < 65536
