"""A random LAN that suffers for a while, is healed or cut in two, and must then be at peace."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from kad.model.secret import Secret, SecretBytes
from kad.model.vrrp import Authentication, AuthHmac, HmacKey, UnicastPeer, VirtualAddress, VrrpInstance
from kad.simulation.host import Host
from kad.simulation.lan import Lan
from kad.simulation.verdict import Period, caused, left_behind, no_storm, one_holder, unmoved
from kad.vrrp.events import Resumed

SUFFERING = 40.0
"""Seconds of misfortune."""
PEACE = 15
"""Advertisement intervals over which nothing may move any more."""
LONGEST_DELAY = 0.004
LATENESS = 0.001
WORST_CLOCK = 2.0
"""Seconds by which a clock may be wrong; signatures allow a difference of five."""
DOWN = frozenset({"interface eth0 is down"})


@dataclass
class Machine:
    """One host with what its operator wants of it."""

    host: Host
    instances: list[VrrpInstance]
    groups: list[tuple[str, ...]]
    powered: bool = False
    dead: dict[str, Resumed] | None = None
    broken: set[str] = field(default_factory=set)


class Ordeal:
    """Everything about it follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.lan = Lan(random, shortest=0.0001, longest=LONGEST_DELAY)
        self.version = random.choice((2, 3))
        self.interval = float(random.choice((1, 1, 2))) if self.version == 2 else random.choice((0.1, 0.25, 1.0, 2.0))
        self.rates: dict[str, float] = {}
        # Of its own, so that what is decided here does not change the story.
        self.authentication = self._authenticate(Random(seed))
        self.machines = self._furnish(seed, random.randint(2, 8), random.randint(1, 3))
        self.slowest = self.interval
        self.most_delay = max(each.preempt_delay for machine in self.machines for each in machine.instances)

    def _authenticate(self, random: Random) -> dict[str, Any]:
        """Nothing, a password, an authentication header, or signatures."""
        if self.version == 2 and random.random() < 0.5:
            return {
                "authentication": Authentication(type=random.choice(("PASS", "AH", "AH")), password=Secret("secret"))
            }
        if random.random() < 0.5:
            return {}
        key = HmacKey(id=1, secret=SecretBytes(bytes(range(32))))
        return {"auth_hmac": AuthHmac(keys=(key,), active_key=1, monotonic=random.random() < 0.3)}

    def _furnish(self, seed: int, hosts: int, routers: int) -> list[Machine]:
        random = self.random
        grouped = routers > 1 and random.random() < 0.3
        unicast = random.random() < 0.2
        owner = random.randrange(hosts) if random.random() < 0.2 else None
        machines = []
        for number in range(1, hosts + 1):
            address = f"10.77.0.{number}"
            rate = random.uniform(0.99, 1.01)
            host = Host(f"host{number}", address, self.lan, rate=rate, lateness=LATENESS)
            self.rates[host.name] = rate
            host.clock_error = Random(f"{seed} {address}").uniform(-WORST_CLOCK, WORST_CLOCK)
            others = [f"10.77.0.{other}" for other in range(1, hosts + 1) if other != number]
            priority = 255 if owner == number - 1 else random.choice((random.randint(1, 254), 100))
            instances = []
            for router in range(1, routers + 1):
                own = priority if grouped or priority == 255 else random.choice((random.randint(1, 254), 100))
                peers = tuple(UnicastPeer(address=other) for other in others) if unicast else ()
                instances.append(self._instance(router, own, peers))
            groups = [tuple(each.name for each in instances)] if grouped else []
            machines.append(Machine(host, instances, groups))
        return machines

    def _instance(self, number: int, priority: int, peers: tuple[UnicastPeer, ...]) -> VrrpInstance:
        random = self.random
        preempt = priority == 255 or random.random() < 0.8
        return VrrpInstance(
            name=f"VI_{number}",
            **self.authentication,
            interface="eth0",
            virtual_router_id=50 + number,
            version=self.version,
            priority=priority,
            state=random.choice(("MASTER", "BACKUP")),
            advertisement_interval=self.interval,
            unicast_peers=peers,
            preempt=preempt,
            preempt_delay=random.choice((0.0, 0.0, 0.0, 5.0)) if preempt and priority < 255 else 0.0,
            higher_prio_send_advert=random.random() < 0.1,
            lower_prio_no_advert=random.random() < 0.1,
            virtual_addresses=tuple(
                VirtualAddress(address=f"10.77.{number}.{at}", prefix=24) for at in range(1, number + 1)
            ),
        )

    # misfortune

    def suffer(self) -> None:
        """Switch everything on, one after the other, and let bad things happen."""
        random, timeline = self.random, self.lan.timeline
        for machine in self.machines:
            timeline.at(random.uniform(0.0, 5.0), lambda machine=machine: self._boot(machine))  # type: ignore[misc]
        misfortunes = (
            *(self._cut, self._deafen, self._lose, self._heal),
            *(self._power, self._kill, self._stop, self._sleep),
            *(self._break, self._break, self._prefer, self._reload),
        )
        moment = 0.0
        while (moment := moment + random.expovariate(1 / 2.0)) < SUFFERING:
            misfortune = random.choice(misfortunes)
            timeline.at(moment, lambda happen=misfortune: happen(random.choice(self.machines)))  # type: ignore[misc]
        timeline.run_until(SUFFERING)

    def _boot(self, machine: Machine) -> None:
        if machine.host.runs:
            return
        machine.powered, machine.dead = True, None
        machine.broken.clear()
        machine.host.boot(machine.instances, machine.groups)

    def _runs(self, machine: Machine) -> bool:
        return machine.host.runs and machine.host.awake

    def _cut(self, _: Machine) -> None:
        parts: list[list[Host]] = [[], [], []]
        for machine in self.machines:
            self.random.choice(parts).append(machine.host)
        self.lan.partition(parts)

    def _deafen(self, machine: Machine) -> None:
        other = self.random.choice(self.machines)
        if other is not machine:
            self.lan.deafen(machine.host, other.host)

    def _lose(self, _: Machine) -> None:
        self.lan.loss = self.random.choice((0.02, 0.1, 0.4))

    def _heal(self, _: Machine) -> None:
        self.lan.heal()

    def _power(self, machine: Machine) -> None:
        if machine.powered:
            machine.powered, machine.dead = False, None
            machine.host.crash()
        else:
            self._boot(machine)

    def _kill(self, machine: Machine) -> None:
        """The process dies; its parent starts another one, soon or not so soon."""
        if self._runs(machine) and not machine.broken and not machine.host.stopped:
            machine.dead = machine.host.kill()
            back = self.lan.now + self.random.choice((0.01, 0.1, 2.0, 20.0))
            self.lan.timeline.at(back, lambda: self._return(machine))

    def _return(self, machine: Machine) -> None:
        if machine.dead is not None:
            before, machine.dead = machine.dead, None
            machine.host.replace(before, machine.instances, machine.groups)

    def _stop(self, machine: Machine) -> None:
        if self._runs(machine) and not machine.host.stopped:
            machine.host.stop(self.random.choice((None, 1.0, 10.0)))
            self.lan.timeline.at(self.lan.now + 11.0, lambda: self._start_again(machine))

    def _start_again(self, machine: Machine) -> None:
        if machine.host.runs and machine.host.stopped:
            machine.host.kill()
            self._boot(machine)

    def _break(self, machine: Machine) -> None:
        if not self._runs(machine) or machine.host.stopped:
            return
        name = self.random.choice(machine.instances).name
        if name in machine.broken:
            machine.broken.discard(name)
            machine.host.fail(name, frozenset())
        else:
            machine.broken.add(name)
            machine.host.fail(name, DOWN)

    def _prefer(self, machine: Machine) -> None:
        if self._runs(machine):
            instance = self.random.choice(machine.instances)
            if instance.priority != 255:
                machine.host.prefer(instance.name, self.random.randint(1, 254))

    def _sleep(self, machine: Machine) -> None:
        if self._runs(machine):
            machine.host.sleep(self.random.choice((0.02, 0.5, 3.0, 8.0)))

    def _reload(self, machine: Machine) -> None:
        """The operator edits the file; with version 2 the interval is agreed upon and stays."""
        random = self.random
        changed = []
        for instance in machine.instances:
            changes: dict[str, object] = {}
            if instance.priority != 255 and not machine.groups:
                changes["priority"] = random.randint(1, 254)
            if self.version == 3 and random.random() < 0.3:
                changes["advertisement_interval"] = random.choice((0.1, 0.5, 1.0, 2.0))
                self.slowest = max(self.slowest, 2.0)
            if random.random() < 0.3:
                extra = VirtualAddress(
                    address=f"10.77.{instance.virtual_router_id}.{random.randint(200, 250)}", prefix=24
                )
                changes["excluded_addresses"] = (extra,)
            changed.append(msgspec.structs.replace(instance, **changes))
        if self._runs(machine):
            machine.host.reload(changed)
            machine.instances = changed

    # peace

    def recover(self) -> None:
        """Every host runs as it should, and the network is whole, or cleanly in two."""
        self.lan.heal()
        self._finish_misfortunes()
        if self.random.random() < 0.4:
            hosts = [machine.host for machine in self.machines]
            self.random.shuffle(hosts)
            cut = self.random.randint(1, len(hosts) - 1)
            self.lan.partition([hosts[:cut], hosts[cut:]])
        for machine in self.machines:
            if machine.dead is not None:
                self._return(machine)
            if not machine.powered or not machine.host.runs:
                self._boot(machine)
            if machine.host.stopped:
                self._start_again(machine)
            for name in sorted(machine.broken):
                machine.host.fail(name, frozenset())
            machine.broken.clear()

    def _finish_misfortunes(self) -> None:
        """Who still sleeps or stops gets the time to end it, with nothing new going wrong."""
        self.lan.timeline.run_until(self.lan.now + 20.0)
        self.lan.heal()

    @property
    def settled_after(self) -> float:
        """Seconds in which each part must have one MASTER: see the bounds of RFC 9568 6.1, and preempt_delay."""
        unit = 1.0 if self.version == 2 else self.slowest
        master_down_interval = 3 * self.slowest + unit
        return (self.slowest + self.most_delay + 3 * master_down_interval) / 0.99 + 0.1

    def judge(self) -> list[str]:
        """Let it settle, watch it for a while, and say what is wrong."""
        lan = self.lan
        healed = lan.now
        lan.timeline.run_until(healed + self.settled_after)
        calm = Period(lan.now, lan.now + PEACE * self.slowest)
        lan.timeline.run_until(calm.until)
        hosts = [machine.host for machine in self.machines]
        return [
            *(
                said
                for part in lan.parts()
                for said in one_holder([host for host in hosts if host in part], lan.chronicle, calm, LONGEST_DELAY)
            ),
            *unmoved(lan.chronicle, calm),
            *left_behind(hosts),
            *no_storm(lan.chronicle, self.rates, lan.now),
            *caused(lan.chronicle, self.rates),
        ]
