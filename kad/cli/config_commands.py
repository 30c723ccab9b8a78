"""What the command line asks about a configuration without running it: test, print, explain, what a reload would do.

The parser is imported by the functions that need it: the daemon's parent imports this module and must stay small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kad.linux.files.own_files import Foreign, append_findings
from kad.model import escaping
from kad.shared import messages
from kad.shared.control_protocol import ControlError
from kad.shared.exit_codes import EXIT_CONFIGURATION, EXIT_FATAL, EXIT_OK
from kad.shared.output import to_error, to_output

if TYPE_CHECKING:
    from kad.analyzer.process import Analysis, Options


@dataclass(frozen=True)
class Reading:
    """How the configuration is read: again in the same way at each reload."""

    files: str
    config_id: str | None
    vrrp: bool
    checker: bool
    umask: int | None = None
    all_checks: bool = False
    """Each include is as strict as can be (-e)."""
    own_files: Mapping[str, str] = field(default_factory=dict)
    """What each file is that the daemon has for itself, by its path."""

    def __call__(self) -> tuple[messages.Analyzed, dict[str, bytes]]:
        """Called in the analyzer process: what the parent is told, and the content of each memory file by its name."""
        from kad.analyzer import process as analyzer

        analysis = self.analyze(test=False)
        files = dict(analysis.slices)
        if analysis.release is not None:
            files[messages.RELEASE] = analysis.release
        return analyzer.to_message(analysis), files

    def analyze(self, *, test: bool) -> Analysis:
        """Here and now."""
        from kad.analyzer import process as analyzer
        from kad.linux.netlink.host import gather

        return analyzer.analyze(self.files, gather(), self.options(test=test))

    def options(self, *, test: bool) -> Options:
        from kad.analyzer import process as analyzer

        return analyzer.Options(
            config_id=self.config_id,
            test=test,
            vrrp=self.vrrp,
            checker=self.checker,
            umask=self.umask,
            all_config=self.all_checks,
            own_files=dict(self.own_files),
        )


def test(reading: Reading, log: str, form: str) -> int:
    """`-t`: the findings to standard error, JSON to standard output, or appended to `log`; keepalived's exit code."""
    from kad.config import render

    analysis = reading.analyze(test=True)
    to_text = render.to_json if form == "json" else render.render
    text = to_text(analysis.diagnostics)
    if not log:
        (to_output if form == "json" else to_error)(text)
        return analysis.exit_code
    try:
        append_findings(log, escaping.lines(text), analysis.files)
    except Foreign as foreign:
        to_error(f"kad: {foreign}\nTo test a file, write kad -t FILE.\n")
        return EXIT_FATAL
    except OSError as error:
        to_error(f"kad: {log}: {error.strerror}\n")
        return EXIT_FATAL
    return analysis.exit_code


def print_effective(reading: Reading, *, with_defaults: bool, with_secrets: bool) -> int:
    """`-t --print`: the configuration as one text; the findings to standard error."""
    from kad.analyzer import process as analyzer
    from kad.linux.netlink.host import gather

    analysis, text = analyzer.effective(
        reading.files,
        gather(),
        reading.options(test=True),
        with_defaults=with_defaults,
        with_secrets=with_secrets,
    )
    to_error(analyzer.render(analysis.diagnostics))
    to_output(text)
    return analysis.exit_code


def explain(word: str) -> int:
    """`--explain`: one keyword, or all of them; `reference` prints the whole page."""
    from kad.analyzer.language import language
    from kad.config import explain as explaining

    layout = language()
    match word:
        case "":
            to_output(explaining.overview(layout))
        case "reference":
            to_output(explaining.reference(layout))
        case _:
            text = explaining.explain(word, layout)
            if text is None:
                near = ", ".join(explaining.proposals(word, layout))
                to_error(f"kad: unknown keyword {word}{f'; similar: {near}' if near else ''}\n")
                return EXIT_FATAL
            to_output(text)
    return EXIT_OK


def check_reload(reading: Reading, runtime_directory: Path) -> int:
    """`--check-reload`: what would change, and whether the reload would be accepted."""
    from kad.analyzer import process as analyzer
    from kad.cli import reload_preview as checking

    analysis = reading.analyze(test=False)
    to_error(analyzer.render(analysis.diagnostics))
    try:
        text, accepted = checking.check_reload(runtime_directory, analysis)
    except ControlError as error:
        to_error(f"kad: {error}\n")
        return EXIT_FATAL
    to_output(text)
    return EXIT_OK if accepted else EXIT_CONFIGURATION
