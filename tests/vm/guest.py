"""A machine under emulation that runs one command as root, on Debian's kernel and on a copy of this host's files."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tests.lab.namespaces import PROJECT, environment
from tests.vm.archive import Archive
from tests.vm.kernel import Kernel

_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_MEMORY = "2G"
"""Only what is touched costs memory here."""
# What no test imports: half of the library, and most of the packages.
_COLD_FOLDERS = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "tkinter",
    "turtledemo",
    "pydoc_data",
    "__pycache__",
}
_COLD_PACKAGES = {"mypy", "mypyc", "ruff", "scapy", "hypothesis", "pip", "setuptools", "site-packages"}


class Guest:
    """The command runs until the guest is closed; what it writes into `report` (/run/report inside) is seen here.

    Nothing else that the guest writes outlives it. `console` is what it printed, the kernel's last words included.
    """

    def __init__(self, kernel: Kernel, command: str, report: Path) -> None:
        self.report = report
        self._console = report / "console"
        (report / "command").write_text(command)
        initial = report / "initial"
        initial.write_bytes(_initial(kernel))
        words = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", _MEMORY]
        words += ["-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{self._console}"]
        words += ["-kernel", str(kernel.image), "-initrd", str(initial)]
        words += ["-append", "console=ttyS0 quiet panic=-1 mitigations=off"]
        words += [*_share("host", "/", "readonly=on,multidevs=remap"), *_share("report", str(report), "readonly=off")]
        words = ["setpriv", "--pdeathsig", "KILL", *words]
        self._process = subprocess.Popen(words, env=environment(), stdin=subprocess.DEVNULL)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def console(self) -> str:
        with contextlib.suppress(OSError):
            return self._console.read_text(errors="replace")
        return ""


def _share(name: str, folder: str, how: str) -> list[str]:
    drive = f"local,id={name},path={folder},security_model=none,{how}"
    return ["-fsdev", drive, "-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}"]


def _initial(kernel: Kernel) -> bytes:
    archive = Archive()
    archive.file("init", (Path(__file__).parent / "init.sh").read_bytes(), 0o755)
    archive.file("bin/busybox", Path(_found("busybox")).read_bytes(), 0o755)
    modules = _modules(kernel)
    for module in modules:
        archive.file(f"modules/{module.name}", module.read_bytes())
    archive.file("modules/order", "".join(f"{module.name}\n" for module in modules).encode())
    archive.file("modules/folder", str(kernel.modules).encode())
    archive.copy_all(_hot(), "hot")
    return archive.written()


def _modules(kernel: Kernel) -> list[Path]:
    """Each after those that it needs."""
    ordered: dict[Path, None] = {}
    for name in _MODULES:
        words = ["modprobe", "-d", str(kernel.root), "-S", kernel.version, "--show-depends", name]
        told = subprocess.run(words, check=True, capture_output=True, text=True, env=environment()).stdout
        ordered |= {Path(line.split()[1]): None for line in told.splitlines() if line.startswith("insmod")}
    return list(ordered)


def _hot() -> Iterator[Path]:
    """The files of Python that a test run reads: the library, the packages and the project, all compiled."""
    words = [sys.executable, "-m", "compileall", "-q", str(PROJECT / "kad"), str(PROJECT / "tests")]
    subprocess.run(words, check=True)
    library, packages = (Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib"))
    folders = (library, packages, PROJECT / "kad", PROJECT / "tests")
    found = itertools.chain.from_iterable(_sources(folder, folder) for folder in folders)
    for source in found:
        yield source
        compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        if source.suffix == ".py" and compiled.exists():
            yield compiled


def _sources(folder: Path, top: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            cold = path.name in _COLD_FOLDERS or (folder == top and path.name in _COLD_PACKAGES)
            if not cold and not path.name.startswith("config-"):
                yield from _sources(path, top)
        elif path.suffix in (".py", ".so", ".pth", ".tsv") and "__mypyc" not in path.name:
            yield path


def _found(program: str) -> str:
    path = shutil.which(program, path=environment()["PATH"])
    assert path is not None, program
    return path
