"""enable_script_security at the moment of execution: what is checked here, of this host's files, is executed next."""

from __future__ import annotations

import os
from collections.abc import Mapping
from errno import EPERM

from kad.linux.process.spawn import identity
from kad.linux.refused import Refused
from kad.model.runner import Program


def check_safety(program: Program, environment: Mapping[str, str]) -> None:
    """Raises Refused where root would run what others can change, and the configuration forbids that."""
    if not program.is_secured:
        return
    # The parent runs programs too, and only where this is asked for it has to have what looks at files.
    from kad.config.script_security import first_unsafe
    from kad.linux.netlink.host import LocalFiles

    try:
        is_root = identity(program.user, program.group).uid == 0
    except LookupError:
        return  # it is refused for that
    line = program.argv[-1] if program.shell else ""
    unsafe = first_unsafe(
        program.argv, line, is_root=is_root, files=LocalFiles(), environment=environment, cwd=os.getcwd()
    )
    if unsafe is not None:
        what = f"enable_script_security: users other than root can change {unsafe.part}; starting {unsafe.path} as root"
        raise Refused(what, EPERM)
