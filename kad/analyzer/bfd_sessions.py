"""Which BFD sessions a configuration needs: those that an instance or a real server follows."""

from __future__ import annotations

from collections.abc import Collection

from kad.analyzer.language import File, GlobalsBlock
from kad.config.build import Scope
from kad.config.codes import ConfigCode
from kad.config.process_words import placement
from kad.model.bfd import BfdInstance, BfdSlice
from kad.model.checker import BfdCheck, CheckerSlice
from kad.model.vrrp import VrrpSlice


def checkable(file: File, sessions: Collection[str]) -> list[str]:
    """Those that the checker process is told of."""
    return [one.name for one in file.bfd_instance if one.name in sessions and (one.checker or not one.vrrp)]


def to_bfd(
    sessions: dict[str, BfdInstance],
    file: File,
    defaults: GlobalsBlock,
    vrrp: VrrpSlice,
    checker: CheckerSlice,
    running: Collection[str],
    scope: Scope,
) -> BfdSlice | None:
    """What the bfd process is given, by what the children in `running` follow; None: there is nothing for it to do."""
    followed: set[str] = set()
    if "vrrp" in running:
        followed |= {item.name for each in vrrp.instances for item in each.tracks if item.kind == "bfd"}
    if "checker" in running:
        checks = (check for server in checker.servers for check in server.checks)
        followed |= {check.name for check in checks if isinstance(check, BfdCheck)}
    for block in file.bfd_instance:
        if block.name in sessions and block.name not in followed:
            remark = ConfigCode.BFD_NOT_TRACKED(name=block.name)
            scope.report.note(scope.places.of(block), remark)
    wanted = tuple(one for name, one in sessions.items() if name in followed)
    if not wanted:
        return None
    return BfdSlice(instances=wanted, **placement(defaults.bfd_process, scope))
