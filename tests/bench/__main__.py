"""`make bench`: every measure of keepalived and of kad in one run, and their ratio."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable
from statistics import median

from tests.bench import checks as checking
from tests.bench import findings, load, probes, start
from tests.bench import goals as goal
from tests.bench import ipvs as programming
from tests.config.test_planted import PLANTS
from tests.lab import table, takeover
from tests.lab.hub import Late
from tests.lab.namespaces import missing

PROGRAMS = ("keepalived", "kad")
INSTANCES = (1, 200, 1000)
FIELDS = (
    ("CPU an advert sent", "µs", "sent"),
    ("CPU an advert received", "µs", "received"),
    ("memory of the family (PSS)", "MB", "memory"),
    ("adverts that went", "/s", "adverts"),
)


def row(what: str, unit: str, measured: dict[str, float]) -> None:
    theirs, ours = measured["keepalived"], measured["kad"]
    ratio = f"{ours / theirs:8.2f}" if theirs > 0 else "       –"
    print(f"{what:<52} {theirs:12.2f} {ours:12.2f} {unit:<6} {ratio}", flush=True)


def both(measure: Callable[[str], float]) -> dict[str, float]:
    """Each program's measure; what the labs print on the way is not wanted."""
    with contextlib.redirect_stdout(io.StringIO()):
        return {program: measure(program) for program in PROGRAMS}


def takeovers(rounds: int) -> None:
    for advert_int, times in ((1.0, max(3, rounds)), (0.1, 3 * rounds)):
        measured = both(lambda program, at=advert_int, n=times: takeover.measure(program, at, n).median * 1000)  # type: ignore[misc]
        row(f"takeover beyond 3·advert_int + skew, {advert_int:g} s", "ms", measured)


def starts(rounds: int) -> None:
    row("start to first advert, priority 255", "ms", both(lambda program: start.measure(program, rounds) * 1000))


def loads(rounds: int) -> None:
    for instances in INSTANCES:
        found: dict[str, list[load.Load]] = {program: [] for program in PROGRAMS}
        for _ in range(max(1, rounds // 3)):
            for program in PROGRAMS:
                with contextlib.redirect_stdout(io.StringIO()):
                    found[program].append(load.measure(program, instances))
        for what, unit, field in FIELDS:
            medians = {name: median(getattr(each, field) for each in several) for name, several in found.items()}
            row(f"{what}, {instances} instance{'s' * (instances > 1)}", unit, medians)


def scripts(rounds: int) -> None:
    row("CPU of 100 killall -0 each second, 500 processes", "%", both(probes.cost))
    times = max(3, rounds)
    row("death of a process until its check has failed", "ms", both(lambda it: probes.discovery(it, times) * 1000))
    quiet, busy = (delays(number) for number in (0, 500))
    for what in probes.Delay._fields:
        each = {name: (getattr(busy[name], what) - getattr(quiet[name], what)) * 1000 for name in PROGRAMS}
        row(f"{what} lateness of adverts by 500 scripts a second", "ms", each)


def delays(number: int) -> dict[str, probes.Delay]:
    with contextlib.redirect_stdout(io.StringIO()):
        return {program: probes.delay(program, number) for program in PROGRAMS}


def checks(rounds: int) -> None:
    """What a check costs beside keepalived, in a guest; and of kad alone, how many it makes and how many at once."""
    found = checking.costs(rounds)
    for check in checking.CHECKS:
        for place, whose in enumerate(("the checker", "the family")):
            medians = {program: median(one[check][program][place] for one in found) for program in PROGRAMS}
            row(f"CPU a {check}, 100/s in a guest, of {whose}", "ms", medians)
    for check in checking.CHECKS:
        with contextlib.redirect_stdout(io.StringIO()):
            rate = median(checking.speed(check).rate for _ in range(max(1, rounds // 2)))
        print(f"{f'most of {check} on one core':<52} {'':12} {rate:12.0f} /s", flush=True)
    with contextlib.redirect_stdout(io.StringIO()):
        memory = checking.waiting(10_000)
    print(f"{'memory of the checker while 10,000 checks wait':<52} {'':12} {memory:12.2f} MB", flush=True)


def reading(rounds: int) -> None:
    """Of kad alone: what it says of files."""
    for plant in PLANTS:
        found = findings.planted(plant.__name__, 60 * rounds)
        what = f"planted errors, {plant.__name__.replace('_', ' ')}"
        print(f"{what:<52} {found.named:12.1%} named {found.proposed:12.1%} with the fix", flush=True)
    both_judged, alike = findings.agreement(40 * rounds)
    print(f"{'-t of damaged files, same class as keepalived':<52} {alike:12} of {both_judged}", flush=True)


def goals(rounds: int) -> None:
    """Slow: minutes for each program."""
    times = max(1, rounds // 3)
    row("adverts that went of those due, 1,000 × 100/s", "%", both(lambda program: goal.pace(program, 1000, 0.01, 60)))
    late = both(lambda program: goal.punctuality(program, 4000, 0.1, 20))
    row("99 % of intervals kept to within, 4,000 × 10/s", "ms", late)
    silent = both(lambda program: middle(times, lambda: goal.return_of_the_link(program, 1000, 0.1)))
    row("longest silence after the link is back, 1,000", "×", silent)
    replaced = both(lambda program: middle(times, lambda: goal.replacement(program, 1000, 0.1)))
    row("VRRP process killed, all of 1,000 speak again", "ms", replaced)
    held = {program: [] for program in PROGRAMS}  # type: dict[str, list[tuple[float, float]]]
    for _ in range(times):
        for program in PROGRAMS:
            with contextlib.redirect_stdout(io.StringIO()):
                held[program].append(goal.addresses(program, 1000))
    for place, what in enumerate(("on the interface", "announced")):
        measured = {program: median(each[place] for each in several) for program, several in held.items()}
        row(f"first advert to the last of 1,000 addresses {what}", "ms", measured)


def middle(times: int, measure: Callable[[], float]) -> float:
    return median(measure() for _ in range(times))


def failures(rounds: int) -> None:
    print()
    table.show(max(1, rounds // 2))


MEASURES = {
    "takeover": takeovers,
    "start": starts,
    "load": loads,
    "goals": goals,
    "scripts": scripts,
    "checks": checks,
    "programming": lambda rounds: programming.show(),
    "reading": reading,
    "failures": failures,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="kad beside keepalived")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of {', '.join(MEASURES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; medians are shown")
    arguments = parser.parse_args()
    if lacking := missing():
        print(f"make bench needs {', '.join(lacking)}", file=sys.stderr)
        return 1
    print(f"{'':<52} {'keepalived':>12} {'kad':>12} {'':<6} {'ratio':>8}")
    status = 0
    for name in arguments.measures or MEASURES:
        try:
            MEASURES[name](arguments.rounds)
        except Late as late:
            print(f"{name} ends here: {late}", flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
