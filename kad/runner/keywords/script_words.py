"""The words of vrrp_script."""

from typing import Annotated

from kad.config.build import Scope
from kad.config.command import Command, command, user_and_group
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Head, keyword
from kad.config.programs import Programs
from kad.config.values import boolean, flag, integer, seconds, text
from kad.model.runner import VrrpScript
from kad.model.tracking import Weight
from kad.runner.keywords.codes import RunnerCode
from kad.tracking.item_words import weight_up_to


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
    user: Annotated[Command | None, keyword(user_and_group(), "user that runs it", default="script_user")] = None
    init_fail: Annotated[bool, keyword(flag(), "it counts as failed before its first run")] = False
    native: Annotated[
        bool | None,
        keyword(
            boolean(),
            "a command that only asks whether something runs or exists is checked without running it",
            default="true",
        ),
    ] = None
    immediate: Annotated[
        bool, keyword(flag(), "an end that is seen natively counts as a failure at once, whatever fall is")
    ] = False


def to_script(block: ScriptBlock, programs: Programs, scope: Scope, *, tracked: bool) -> VrrpScript | None:
    """The script; one that cannot run has failed, which has then been said. None: there is nothing to run."""
    if block.script is None:
        remark = RunnerCode.SCRIPT_WITHOUT_COMMAND(name=block.name)
        scope.report.warning(scope.places.of(block), remark, proposal='add script "COMMAND"')
        return None
    place = scope.places.of(block, "script")
    made = programs.make_check(
        block.script, f"script:{block.name}", place, block.user, native=block.native is not False, tracked=tracked
    )
    if made is None:
        return None
    program, impossible = made
    if block.immediate and program.probe is None:
        remark = RunnerCode.IMMEDIATE_WITHOUT_EFFECT()
        scope.report.note(scope.places.of(block, "immediate"), remark)
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
        immediate=block.immediate and program.probe is not None,
        impossible=impossible,
    )
