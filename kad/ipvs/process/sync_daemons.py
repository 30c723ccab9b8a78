"""lvs_sync_daemon: connections are told by the MASTER and heard by all others, or both are done at once."""

from __future__ import annotations

from kad.ipvs.process.kernel_table import Kernel
from kad.linux.netlink import ipvs
from kad.linux.refused import Refused
from kad.model.ipvs import SyncDaemon
from kad.model.ipvs_table import SyncDaemonSettings
from kad.shared.log import Logger
from kad.shared.messages import RouterState

_STATES: tuple[str, ...] = ("master", "backup")


class SyncDaemons:
    """The kernel's sync daemons, as the state of the vrrp_instance wants them."""

    def __init__(self, log: Logger, kernel: Kernel) -> None:
        self._log = log
        self._kernel = kernel
        self._configured: SyncDaemon | None = None
        self._states: dict[str, str] = {}
        self._running: dict[str, SyncDaemonSettings] = {}
        self.failure = ""
        """What the kernel refuses, and why ("to start …"); empty where nothing is refused."""

    def inherit(self, configured: SyncDaemon | None) -> None:
        """The daemon before this one had these started, and they may still run."""
        self._running = {state: _settings(state, configured) for state in _STATES} if configured else {}

    def follow(self, configured: SyncDaemon | None) -> None:
        """Another configuration is in force."""
        self._configured = configured
        self.arrange()

    def hear(self, router: RouterState) -> None:
        """An instance is in another state."""
        if router.deleted:
            self._states.pop(router.name, None)
        else:
            self._states[router.name] = router.state
        if self._configured is not None and self._configured.instance == router.name:
            self.arrange()

    def arrange(self) -> None:
        """Stop and start what differs from what is wanted; the kernel is asked what runs."""
        if not self._kernel.is_open or (self._configured is None and not self._running):
            return
        try:
            self._arrange(self._wanted())
        except Refused as refused:
            if str(refused) != self.failure:
                self._log.error(f"IPVS refuses {refused}")
            self.failure = str(refused)
        else:
            self.failure = ""

    def _wanted(self) -> dict[str, SyncDaemonSettings]:
        configured = self._configured
        if configured is None:
            return {}
        states = _STATES
        if configured.instance is not None:
            states = ("master",) if self._states.get(configured.instance) == "MASTER" else ("backup",)
        return {state: _settings(state, configured) for state in states}

    def _fits(self, found: SyncDaemonSettings, wanted: SyncDaemonSettings) -> bool:
        """What is not configured is the kernel's own choice; maxlen it rounds, so the last order counts for that."""
        asked = self._running.get(wanted.state, wanted)
        names = ("interface", "id", "group", "port", "ttl")
        same = all(getattr(wanted, name) in (None, getattr(found, name)) for name in names)
        return same and asked.maxlen == wanted.maxlen

    def _arrange(self, wanted: dict[str, SyncDaemonSettings]) -> None:
        running = {daemon.state: daemon for daemon in self._kernel.ipvs.daemons()}
        for state, found in running.items():
            if state not in wanted or not self._fits(found, wanted[state]):
                self._do(ipvs.stop_daemon(state), f"stop the {state} sync daemon")
                self._log.info(f"Stopped the {state} sync daemon of IPVS on {found.interface}")
        for state, settings in wanted.items():
            if state not in running or not self._fits(running[state], settings):
                self._do(ipvs.start_daemon(settings), f"start the {state} sync daemon on {settings.interface}")
                self._log.info(f"Started the {state} sync daemon of IPVS on {settings.interface}")
        self._running = wanted

    def _do(self, request: bytes, what: str) -> None:
        (code,) = self._kernel.ipvs.request([request])
        if code:
            raise Refused(f"to {what}", code)

    def end(self) -> None:
        """Raises Refused."""
        self._configured = None
        if self._running:
            self._arrange({})

    def snapshot(self) -> dict[str, object]:
        return {"running": sorted(self._running), "failure": f"IPVS refuses {self.failure}" if self.failure else ""}


def _settings(state: str, configured: SyncDaemon) -> SyncDaemonSettings:
    return SyncDaemonSettings(
        state=state,
        interface=configured.interface,
        id=configured.id,
        maxlen=configured.maxlen,
        group=configured.group,
        port=configured.port,
        ttl=configured.ttl,
    )
