"""The notify programs of instances and sync groups."""

from __future__ import annotations

from collections.abc import Mapping

from kad.config.build import Scope
from kad.config.command import Command
from kad.config.keyword import Block
from kad.config.programs import Programs
from kad.vrrp.keywords.group_words import GroupBlock
from kad.vrrp.keywords.instance_words import InstanceBlock, NotifyWords


def notifies_of_instance(block: InstanceBlock, programs: Programs, scope: Scope) -> tuple[str, ...]:
    """Keywords of those that can be run."""
    commands = block.notifies.commands()
    if block.notify_deleted is not None and block.notify_deleted.text:
        commands["notify_deleted"] = block.notify_deleted
    if block.notify_master_rx_lower_pri is not None:
        commands["notify_master_rx_lower_pri"] = block.notify_master_rx_lower_pri
    return _keep(block, block.name, block.notifies, commands, programs, scope)


def notifies_of_group(block: GroupBlock, programs: Programs, scope: Scope) -> tuple[str, ...]:
    """Likewise."""
    return _keep(block, f"group:{block.name}", block.notifies, block.notifies.commands(), programs, scope)


def _keep(
    block: Block, owner: str, words: NotifyWords, commands: Mapping[str, Command], programs: Programs, scope: Scope
) -> tuple[str, ...]:
    kept = []
    for name, command in commands.items():
        place = scope.places.find(name, block, words)
        if programs.make(command, f"{owner}/{name}", place) is not None:
            kept.append(name)
    return tuple(kept)
