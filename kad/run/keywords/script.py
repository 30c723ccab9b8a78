"""The words of vrrp_script."""

from typing import Annotated

from kad.config.build import Scope
from kad.config.command import Command, command, user_and_group
from kad.config.keyword import Block, Head, keyword
from kad.config.programs import Programs
from kad.config.tree import Complaint
from kad.config.values import flag, integer, seconds, text
from kad.run.keywords import VrrpScript
from kad.track.items import Weight, weight_up_to


class ScriptBlock(Block, frozen=True, kw_only=True):
    """vrrp_script NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    script: Annotated[
        Command | None,
        keyword(command(with_user=False), "the program to run; exit status 0 is good", missing=Complaint.GENERAL),
    ] = None
    interval: Annotated[
        float | None, keyword(seconds(0.001, 4294, places=3), "from one start to the next", default="1")
    ] = None
    timeout: Annotated[
        float | None,
        keyword(seconds(0.001, 4294, places=3), "then it is signalled and counts as failed", default="interval"),
    ] = None
    weight: Annotated[Weight | None, keyword(weight_up_to(253), "0: a failure is a fault", default="0")] = None
    rise: Annotated[int | None, keyword(integer(1), "successes needed to go up", default="1")] = None
    fall: Annotated[int | None, keyword(integer(1), "failures needed to go down", default="1")] = None
    user: Annotated[Command | None, keyword(user_and_group(), "who runs it", default="script_user")] = None
    init_fail: Annotated[bool, keyword(flag(), "it counts as failed before its first run")] = False


def to_script(block: ScriptBlock, programs: Programs, scope: Scope) -> VrrpScript | None:
    """The script that can be run, or None, which has then been said."""
    if block.script is None:
        scope.report.warning(
            scope.places.of(block),
            f"vrrp_script {block.name} has no script; it is ignored",
            proposal='add script "COMMAND"',
            klass=Complaint.GENERAL,
        )
        return None
    program = programs.make(
        block.script, f"script:{block.name}", scope.places.of(block, "script"), block.user, Complaint.GENERAL
    )
    if program is None:
        return None
    interval = block.interval if block.interval is not None else 1.0
    asked = block.weight or Weight()
    return VrrpScript(
        name=block.name,
        program=program,
        interval=interval,
        timeout=block.timeout if block.timeout is not None else interval,
        weight=asked.number,
        reverse=asked.reverse,
        rise=block.rise if block.rise is not None else 1,
        fall=block.fall if block.fall is not None else 1,
        init_fail=block.init_fail,
    )
