"""MISC_CHECK: a program that the runner runs decides by its exit status."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended, Outcome
from kad.checker.keywords.check_words import TimingWords
from kad.checker.keywords.codes import CheckCode
from kad.config.command import Command, command, user_and_group
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Inline, keyword
from kad.config.native_commands import recognise
from kad.config.values import boolean, flag, integer
from kad.model import escaping
from kad.model.checker import Timing
from kad.model.program_end import Exited, Killed, NotStarted, TimedOut
from kad.shared.messages import Notified

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance

_WEIGHTLESS = 2
"""Exit statuses below it set no weight."""
_SHOWN = 200


class MiscCheck(Question, frozen=True, kw_only=True, tag="MISC_CHECK"):
    """A program decides."""

    timing: Timing
    program: str
    """Id of the program that the runner knows."""
    text: str
    timeout: float
    dynamic: bool = False
    """The exit status sets the weight."""
    impossible: str = ""
    """Why it must never be run: it has failed then."""

    @property
    def target(self) -> str:
        return self.text

    @property
    def success(self) -> str:
        return f"Misc check by [{self.text}] succeeded"

    def failure(self, retries: int) -> str:
        return f"Misc check by [{self.text}] failed"

    @property
    def sets_weight(self) -> bool:
        return True

    @property
    def run(self) -> tuple[str, float] | None:
        return None if self.impossible else (self.program, self.timeout)

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        if self.impossible:
            attempts.refuse(self.impossible)
        return attempts.program(self, self.program, self.timeout, lambda answer: judge(self, answer), ended)


def judge(check: MiscCheck, answer: Notified) -> Outcome:
    """What the end of the program means."""
    lines = answer.output.strip().splitlines()
    said = f"{answer.ending}" + (f": {escaping.one_line(lines[-1][:_SHOWN])}" if lines else "")
    match answer.ending:
        case NotStarted(reason, transient):
            return Outcome(False, f"the program could not be run: {reason}", is_void=transient)
        case TimedOut(seconds):
            return Outcome(False, f"the program timed out after {seconds:g} s")
        case Killed():
            return Outcome(False, said)
        case Exited(0):
            return Outcome(True, said)
        case Exited(status) if check.dynamic and status >= _WEIGHTLESS:
            return Outcome(True, said, weight=status - _WEIGHTLESS)
        case Exited():
            return Outcome(False, said)


class MiscBlock(Block, frozen=True, kw_only=True):
    """MISC_CHECK { }: it runs a program."""

    timing: Annotated[TimingWords, Inline()]
    misc_path: Annotated[
        Command | None,
        keyword(command(with_user=False), "the program; exit status 0 is good", missing=Complaint.GENERAL),
    ] = None
    misc_timeout: Annotated[
        int | None, keyword(integer(0, 4294), "seconds until it is signalled", default="delay_loop")
    ] = None
    misc_dynamic: Annotated[bool, keyword(flag(), "the exit status sets the weight")] = False
    native: Annotated[
        bool | None,
        keyword(
            boolean(),
            "a command that only asks whether something runs or exists is checked without running it",
            default="true",
        ),
    ] = None
    user: Annotated[
        Command | None,
        keyword(user_and_group(), "user that runs it", default="script_user", missing=Complaint.GENERAL),
    ] = None


def resolve(blocks: tuple[MiscBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[MiscCheck]:
    has_dynamic = False
    for block in blocks:
        if block.misc_path is None:
            place = resolver.scope.places.of(block)
            resolver.warn(place, CheckCode.NO_MISC_PATH(), 'add misc_path "COMMAND"')
            continue
        dynamic = block.misc_dynamic
        if dynamic and has_dynamic:
            remark = CheckCode.SECOND_MISC_DYNAMIC(address=above.address)
            resolver.scope.report.note(resolver.scope.places.of(block, "misc_dynamic"), remark)
            dynamic = False
        owner = " ".join(name for name in (block.user.user, block.user.group) if name) if block.user else ""
        native = block.native is not False and not dynamic
        # One command can be a probe in one check and a program in another.
        itself = "" if native or recognise(block.misc_path.text) is None else " itself"
        how = f"{f' as {owner}' if owner else ''}{itself}"
        identity = f"check:{block.misc_path.text}{how}/misc_path"
        at = resolver.scope.places.of(block, "misc_path")
        made = resolver.programs.make_check(
            block.misc_path, identity, at, block.user, native=native, tracked=True, missing=Complaint.NONE
        )
        if made is None:
            continue
        has_dynamic = has_dynamic or dynamic
        timing = above.timing(block.timing, retry=0, from_start=True)
        yield MiscCheck(
            timing=timing,
            program=identity,
            text=block.misc_path.text,
            timeout=float(block.misc_timeout or timing.delay_loop),
            dynamic=dynamic,
            impossible=made[1],
        )


_MAIL = ("MISC CHECK succeeded on service", "MISC CHECK failed on service")
CHECKER = Checker(MiscCheck, 60, (CheckBlock("MISC_CHECK", MiscBlock, "a program decides", resolve, _MAIL),))
