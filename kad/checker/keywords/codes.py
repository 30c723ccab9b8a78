"""The findings about checks of real servers."""

from __future__ import annotations

import enum

from kad.config.remark import Code


@enum.unique
class CheckCode(Code):
    """Each with its sentence."""

    LINK_LOCAL_NEEDS_INTERFACE = "{address} is a link-local address, which needs an interface; the check fails"
    NO_SUCH_TRACKED = "there is no {what} {name}; the check is ignored"
    CHECK_NAMES_NOTHING = "the check names no {what}; it is ignored"
    BINDTO_OF_OTHER_FAMILY = "bindto {bindto} is not of the family of {address}; it is ignored"
    NO_URL = "{name} has no url; it is ignored"
    NO_PATH = "this url has no path; it is ignored"
    NOT_A_TLS_NAME = "{name!r} cannot be the name of a server in TLS; {consequence}"
    REGEX_IGNORED = "the regex {pattern} is ignored: {reason}"
    SECOND_MISC_DYNAMIC = "{address} has more than one misc_dynamic; the first one sets the weight"
    NOT_WHOLE_IGNORED = "{name} {written} is not a whole number; it is ignored"
    PEM_UNREADABLE = "{path} cannot be read: {said}; it is ignored"
    NOT_A_DOMAIN_NAME = "{asked} is not a domain name: {error}; the check is ignored"
    NO_MISC_PATH = "MISC_CHECK has no misc_path; it is ignored"
    NOT_A_STATUS = "{word} is not a status code of 100..599 or a range of them"
    NOT_A_DIGEST = "{text} is not 32 hexadecimal digits"
    NOT_A_HEADER_NAME = "{name} is not the name of a header"
    HEADER_NOT_PRINTABLE = "a header holds printable characters only"
    NOT_HEXADECIMAL = "{word} is not hexadecimal"
