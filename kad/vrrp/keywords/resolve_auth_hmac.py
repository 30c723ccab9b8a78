"""The keys of auth_hmac, in the file or beside it, and what a whole auth_hmac block amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kad.config.build import Scope
from kad.config.diagnostics import Complaint, Place
from kad.config.remark import Remark
from kad.config.values import Wrong
from kad.model.secret import SecretBytes
from kad.model.vrrp import AuthHmac, HmacKey
from kad.vrrp.keywords.codes import VrrpCode

if TYPE_CHECKING:
    from kad.vrrp.keywords.auth_words import HmacBlock
    from kad.vrrp.keywords.instance_words import InstanceBlock

SHORTEST, LONGEST = 32, 64
"""Bytes of a key."""
_LEAST_WINDOW, _LARGEST_WINDOW = 5, 300
_OTHERS = 0o077
_HEX, _FILE = "hex:", "file:"


class HmacResolver:
    """Resolves the auth_hmac of one instance."""

    def __init__(self, block: InstanceBlock, scope: Scope) -> None:
        self._name = block.name
        self._block = block.auth_hmac
        self._scope = scope

    def resolve(self, advertisement_interval: float, *, strict: bool) -> AuthHmac | None:
        """None where there is none, or where it cannot sign, which has then been said."""
        block = self._block
        if block is None:
            return None
        keys = self._keys(block)
        if block.active_key not in keys:
            active = "there is no active_key" if block.active_key is None else f"there is no key {block.active_key}"
            self._warn(block, "active_key", VrrpCode.NO_ACTIVE_KEY(active=active))
            return None
        assert block.active_key is not None
        mode = block.mode or "enforce"
        if strict and mode != "enforce":
            self._warn(block, "mode", VrrpCode.STRICT_MODE_OF_HMAC(mode=mode))
            mode = "enforce"
        derived = max(_LEAST_WINDOW, min(3 * int(advertisement_interval), _LARGEST_WINDOW))
        return AuthHmac(
            keys=tuple(HmacKey(id=number, secret=SecretBytes(secret)) for number, secret in keys.items()),
            active_key=block.active_key,
            time_window=derived if block.time_window is None else block.time_window,
            monotonic=block.anti_replay == "monotonic",
            mode=mode,
        )

    def _keys(self, block: HmacBlock) -> dict[int, bytes]:
        keys: dict[int, bytes] = {}
        for index, line in enumerate(block.key):
            place = self._scope.places.of(block, "key", index)
            try:
                secret = self._secret(line.value.reveal(), place)
            except Wrong as wrong:
                self._warn(block, "key", VrrpCode.KEY_IGNORED(id=line.id, reason=wrong.remark), index)
                continue
            if line.id in keys:
                self._warn(block, "key", VrrpCode.KEY_WRITTEN_TWICE(id=line.id), index)
            else:
                keys[line.id] = secret
        return keys

    def _secret(self, value: str, place: Place) -> bytes:
        """The bytes of a key; raises Wrong, which never tells the key."""
        if value.startswith(_FILE):
            value = self._read(value[len(_FILE) :], place)
        if value.startswith(_HEX):
            try:
                secret = bytes.fromhex(value[len(_HEX) :])
            except ValueError:
                raise Wrong(VrrpCode.KEY_NOT_HEXADECIMAL()) from None
        else:
            secret = value.encode()
        if not SHORTEST <= len(secret) <= LONGEST:
            raise Wrong(VrrpCode.KEY_LENGTH(length=len(secret), shortest=SHORTEST, longest=LONGEST))
        return secret

    def _read(self, path: str, place: Place) -> str:
        files = self._scope.host.files
        try:
            content = files.read(path)
        except OSError as error:
            raise Wrong(VrrpCode.KEY_FILE_UNREADABLE(path=path, strerror=error.strerror)) from None
        look = files.look(path)
        if look is not None and look.mode & _OTHERS:
            self._scope.report.warning(
                place,
                VrrpCode.KEY_FILE_OPEN_TO_OTHERS(path=path).of(self._name),
                proposal=f"chmod 600 {path}",
                klass=Complaint.SECURITY,
                about_host=True,
            )
        try:
            return content.rstrip(b"\r\n").decode()
        except UnicodeDecodeError:
            raise Wrong(VrrpCode.KEY_FILE_NOT_TEXT(path=path)) from None

    def _warn(self, block: HmacBlock, name: str, remark: Remark, index: int | None = None) -> None:
        self._scope.report.warning(self._scope.places.of(block, name, index), remark.of(self._name))
