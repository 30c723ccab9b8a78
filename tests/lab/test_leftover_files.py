"""Files of a daemon that was killed, damaged or written by somebody else, cost the next start a line of the log."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kad.shared.messages import IpvsMemory
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.more]

VIP = "10.77.0.100"
TEXT = (
    global_defs("ipvs_required no")
    + instance(advert_int=0.2)
    + "virtual_server 10.77.0.200 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.8 80 {\n }\n}\n"
)
FILES = ("vrrp.left", "ipvs.left", "ipvs.memory")
MEMORY = msgspec.msgpack.encode(IpvsMemory(marks={"10.77.0.200 80": 7}))


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """Every text and number in it replaced."""
    match value:
        case dict():
            return {key: _changed(each, change) for key, each in value.items()}
        case list():
            return [_changed(each, change) for each in value]
        case bool() | None:
            return value
    return change(value)


def _repeated(value: Any, times: int) -> Any:
    """The first list in it that has anything has that so many times."""
    if not isinstance(value, dict):
        return value
    name = next((name for name, each in value.items() if isinstance(each, list) and each), None)
    return value if name is None else {**value, name: value[name] * times}


def _plainly(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    return lambda content: msgspec.msgpack.encode(change(msgspec.msgpack.decode(content)))


def _texts(value: Any) -> Any:
    return _changed(value, lambda each: "eth99 \x1b[2J\nforged" if isinstance(each, str) else each)


def _numbers(value: Any) -> Any:
    return _changed(value, lambda each: 2**62 if isinstance(each, int | float) else each)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off in the middle": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "random bytes": lambda content: random.Random(len(content)).randbytes(5000),
    "other texts": _plainly(_texts),
    "other numbers": _plainly(_numbers),
    "a hundred thousand entries": _plainly(lambda value: _repeated(value, 100_000)),
    "too long": lambda content: bytes(300_000_000),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FILES)
def test_a_start_goes_on_whatever_an_earlier_daemon_left(pair: tuple[Lab, Node, Node], name: str) -> None:
    lab, a, _ = pair
    first = lab.start_kad(a, TEXT)
    lab.wait_holder(VIP, a, seconds=8)
    first.wait_log("Startup complete")
    first.kill()
    folder = a.files / "run/kad"
    contents = {"ipvs.memory": MEMORY} | {file: (folder / file).read_bytes() for file in FILES[:2]}
    for what, damage in DAMAGES.items():
        for file, content in contents.items():
            (folder / file).write_bytes(damage(content) if file == name else content)
        daemon = lab.start_kad(a, TEXT)
        daemon.wait_log("Startup complete", seconds=8)
        lab.wait_holder(VIP, a, seconds=8)
        assert daemon.logged("letting go of what it held|what an earlier kad held is not known")
        assert not daemon.logged("Traceback"), what
        assert not daemon.logged("process (died|exited)|killing the (ipvs|vrrp) process"), what
        assert not [line for line in daemon.log.splitlines() if line.startswith("forged") or "\x1b" in line], what
        daemon.kill()
