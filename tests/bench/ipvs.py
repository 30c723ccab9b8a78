"""`make bench`: what ten thousand virtual servers cost in the ipvs process, the kernel apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

from kad.ipvs.plan import plan_service
from kad.ipvs.process import kernel_table as kernel_module
from kad.ipvs.process.reconciler import wanted
from kad.ipvs.service import Service
from kad.linux.netlink import ipvs
from kad.model.ipvs import RealServer, VirtualServer
from kad.model.ipvs_table import DestinationKey, DestinationSettings, ServiceKey
from tests.unit.ipvs.room import Kernel, Stage, web

SERVICES, REALS = 10_000, 4
GOAL = 20.0
"""Microseconds a destination: beyond them the kernel, not kad, is to be what the first programming waits for."""


class Deaf(Kernel):
    """Takes every request, and has an empty table."""

    def request(self, batch: Sequence[bytes]) -> list[int]:
        return [0] * len(batch)


def servers() -> list[VirtualServer]:
    return [
        web(
            *(RealServer(address=f"192.168.{real}.{number % 250 + 1}", port=80) for real in range(1, REALS + 1)),
            address=f"10.100.{number >> 8}.{number & 255}",
        )
        for number in range(SERVICES)
    ]


def _seconds(work: Callable[[], object]) -> float:
    """Of this thread's processor time, the median of five."""
    found = []
    for _ in range(5):
        began = time.thread_time()
        work()
        found.append(time.thread_time() - began)
    return median(found)


def encoding() -> float:
    """Microseconds for the bytes of one more destination."""
    places = [
        (ServiceKey(4, "TCP", f"10.100.{number >> 8}.{number & 255}", 80), f"192.168.{real}.{number % 250 + 1}")
        for number in range(SERVICES)
        for real in range(1, REALS + 1)
    ]

    def encode() -> None:
        for service, address in places:
            ipvs.add_destination(service, DestinationKey(address, 80), DestinationSettings())

    return _seconds(encode) / len(places) * 1e6


def planning() -> float:
    """Microseconds a destination from the virtual server, its health and an empty table to the bytes."""
    services = [Service(each) for each in servers()]

    def plan() -> None:
        for service in services:
            for key in service.service_keys():
                commands = plan_service(key, None, wanted(service, key), service.named(key.port))
                [kernel_module.encode(command) for command in commands]

    return _seconds(plan) / (SERVICES * REALS) * 1e6


def committing() -> tuple[float, float]:
    """Microseconds a destination for a first start as a whole, and milliseconds of a snapshot."""
    replaced, kernel_module.Ipvs = kernel_module.Ipvs, Deaf()  # type: ignore[misc,assignment]
    try:
        configured = servers()
        stages: list[Stage] = []

        def start() -> None:
            stage = Stage(Deaf())
            stage.configure(*configured)
            stages[:] = [stage]

        whole = _seconds(start) / (SERVICES * REALS) * 1e6
        return whole, _seconds(lambda: stages[0].room.snapshot(False)) * 1e3
    finally:
        kernel_module.Ipvs = replaced  # type: ignore[misc]


def show() -> None:
    """Of kad alone: what many destinations cost before the kernel is asked."""
    print(f"{SERVICES} virtual servers x {REALS} real servers, CPU")
    encoded = encoding()
    whole, snapshot = committing()
    rows = (
        ("a destination encoded", encoded, "µs"),
        ("a destination planned and encoded", planning(), "µs"),
        ("a destination at a first start, all but the kernel", whole, "µs"),
        ("a snapshot", snapshot, "ms"),
    )
    for what, value, unit in rows:
        print(f"{what:<52} {value:12.2f} {unit}")
    print(f"{'encoding, of what it may cost':<52} {encoded / GOAL:12.2f}")
