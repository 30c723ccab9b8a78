"""The words of authentication and auth_hmac."""

from typing import Annotated

import msgspec

from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, keyword
from kad.config.secret_words import TOKEN, secret_text, to_secret
from kad.config.values import Clamped, Value, Words, Wrong, integer, one_of, quote_all
from kad.model.secret import Secret

_NO_TYPE = ("no_auth", "noauth", "none", "no", "off")


class KeyLine(msgspec.Struct, frozen=True):
    """key ID TEXT, key ID hex:DIGITS or key ID file:PATH"""

    id: int
    value: Secret


def key_line() -> Value:
    """ID VALUE"""
    number = integer(1, 255)

    def read(words: Words) -> KeyLine:
        try:
            return KeyLine(int(number.read(words[:1])), to_secret(words[1], 1))
        except Clamped as clamped:
            raise Wrong(clamped.remark) from None

    return Value(
        arguments="<ID 1..255> <STRING or hex:DIGITS or file:PATH>",
        pattern=r'\s+([0-9]{1,3})\s+([^\s"]+)',
        read=read,
        write=lambda line: f"{line.id} {TOKEN}",
        write_whole=lambda line: quote_all((str(line.id), line.value.reveal())),
        secret_from=1,
        least=2,
        most=2,
    )


class AuthenticationBlock(Block, frozen=True, kw_only=True):
    """authentication { }"""

    auth_type: Annotated[
        str | None,
        keyword(
            one_of("PASS", "AH", advice=dict.fromkeys(_NO_TYPE, "to authenticate nothing, remove the block")),
            "how version 2 adverts are authenticated",
        ),
    ] = None
    auth_pass: Annotated[Secret | None, keyword(secret_text(longest=8), "the shared secret, 8 bytes")] = None


class HmacBlock(Block, frozen=True, kw_only=True):
    """auth_hmac { }"""

    key: Annotated[
        tuple[KeyLine, ...],
        keyword(key_line(), "a key of 32 to 64 bytes", collected=True, missing=Complaint.GENERAL),
    ] = ()
    active_key: Annotated[int | None, keyword(integer(1, 255), "the key that signs")] = None
    time_window: Annotated[
        int | None, keyword(integer(1, 300), "accepted difference of clocks, seconds", default="3 x advert_int, 5..300")
    ] = None
    anti_replay: Annotated[
        str | None, keyword(one_of("time", "monotonic"), "how a replayed advert is recognised", default="time")
    ] = None
    mode: Annotated[
        str | None,
        keyword(
            one_of("enforce", "permissive", "receive-only"), "whether adverts are signed and must be", default="enforce"
        ),
    ] = None
