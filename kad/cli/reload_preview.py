"""`kad --check-reload FILE`: what a reload with that file would change in the running daemon, without doing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kad import VERSION
from kad.analyzer.process import Analysis, to_message
from kad.child.process_spec import imported
from kad.cli import control_client
from kad.config.difference import Difference, difference
from kad.model import secret
from kad.model.finding import Identity
from kad.model.routing import RoutingEntry
from kad.shared import control_protocol
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.two_phase_commit import refusal

_WORDS = {
    "instances": "vrrp_instance",
    "groups": "vrrp_sync_group",
    "scripts": "vrrp_script",
    "programs": "program",
    "virtual_servers": "virtual_server",
}


def check_reload(runtime_directory: Path, analysis: Analysis) -> tuple[str, bool]:
    """The report, and whether the reload would be accepted. Raises ControlError."""
    running, slices = control_client.ask_configuration(runtime_directory)
    if running.get("version") != VERSION:
        raise control_protocol.ControlError(
            f"kad v{running.get('version')} runs, and this is v{VERSION}: a reload needs a restart"
        )
    if hindrance := running["hindrance"]:
        return f"the reload would be refused: {hindrance}\n", False
    lines = list(_changes(slices, analysis.slices)) or ["nothing would change"]
    analyzed = to_message(analysis)
    refused = refusal(
        analyzed.findings,
        msgspec.convert(running["refusals"], frozenset[Identity]),
        unusable=bool(analyzed.fatal),
        runs_something=bool(slices),
        has_work=bool(analysis.slices),
    )
    if refused is not None:
        texts = [*(each.summary for each in refused.findings), *refused.reasons]
        lines = ["the reload would be refused:", *(f"    {text}" for text in texts)]
    return "\n".join(lines) + "\n", refused is None


def _changes(running: dict[str, bytes], wanted: dict[str, bytes]) -> Iterator[str]:
    for name, spec in PROCESS_SPECS.items():
        slice_type = imported(spec.configuration)
        old, new = running.get(name), wanted.get(name)
        if old is None and new is not None:
            yield f"the {name} process would be started"
        elif new is None and old is not None:
            yield f"the {name} process would be stopped"
        before = secret.decode(old, slice_type) if old is not None else slice_type()
        after = secret.decode(new, slice_type) if new is not None else slice_type()
        for each in difference(before, after):
            yield from _lines(each)


def _lines(each: Difference) -> Iterator[str]:
    subject = f"{_WORDS.get(each.kind, each.kind)} {each.name}".strip()
    if not each.fields:
        yield f"{subject}: {each.what}"
    for name, old, new in each.fields:
        before, after = _text(old), _text(new)
        # What differs in secrets alone looks the same.
        yield f"{subject}: {name} changed" if before == after else f"{subject}: {name} {before} -> {after}"


def _text(value: Any) -> str:
    return secret.to_json(_readable(value)).decode()


def _readable(value: Any) -> Any:
    """What is put to the kernel is named, not shown."""
    if isinstance(value, RoutingEntry):
        return value.text
    return [_readable(each) for each in value] if isinstance(value, tuple) else value
