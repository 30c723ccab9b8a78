"""How a configuration says secrets, and how lines that hold one are quoted."""

from __future__ import annotations

import re

from kad.config.codes import ConfigCode
from kad.config.lines import Word
from kad.config.values import WORD, Clamped, Value, Words, Wrong, quote
from kad.model.secret import Secret

TOKEN = "<secret>"
"""What is printed in the place of a secret; no file with it can be used."""


class Withheld(Wrong):
    """The token stands where a secret must: the file was printed without its secrets."""

    def __init__(self, index: int) -> None:
        remark = ConfigCode.SECRET_WITHHELD(token=TOKEN)
        super().__init__(remark, index, advice="write the secret, or print the file with --print --secrets")


def to_secret(word: Word, index: int) -> Secret:
    """The secret of that word; raises Withheld."""
    if word.text == TOKEN:
        raise Withheld(index)
    return Secret(word.text)


def secret_text(longest: int | None = None) -> Value:
    """One word that is a secret."""

    def read(words: Words) -> Secret:
        secret = to_secret(words[0], 0)
        if longest is not None and len(words[0].text) > longest:
            remark = ConfigCode.PASSWORD_TOO_LONG(longest=longest)
            raise Clamped(remark, Secret(words[0].text[:longest]), f"the first {longest} are used")
        return secret

    return Value(
        arguments="<PASSWORD>",
        pattern=rf"\s+({WORD})",
        read=read,
        write=lambda secret: TOKEN,
        write_whole=lambda secret: quote(secret.reveal()),
        secret_from=0,
    )


_REVEALING = re.compile(
    r"""(?P<word>(?i:passw|passphrase|secret|auth_?pas|basic_?auth)[\w-]*
          |(?i:request_header)\s+\S+
          |\bkey\s+\d+)
        (?P<gap>[\s=:]+)(?!<secret>)(?:"[^"]*"?|[^\s{}"]+).*""",
    re.VERBOSE,
)
"""A word that announces a secret, and what follows it on the line."""


def concealed(source: str, mask: str) -> str:
    """The line without what follows a word that announces a secret, whether or not it could be read."""
    return _REVEALING.sub(rf"\g<word>\g<gap>{mask}", source)
