"""The words of global_defs that speak of mail, FIFOs, SNMP and D-Bus."""

import re
from typing import Annotated

from kad.config.codes import ConfigCode
from kad.config.command import Command, command
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, entries, keyword
from kad.config.values import (
    Value,
    Words,
    Wrong,
    boolean,
    flag,
    integer,
    optional,
    quote_all,
    seconds,
    text,
    texts,
    to_address,
)


def mail_server() -> Value:
    """HOST [PORT]"""

    def read(words: Words) -> tuple[str, ...]:
        if re.fullmatch(r"[0-9.]+", words[0].text):
            to_address(words[0].text)
        if not re.fullmatch(r"\[?[\w:][\w.:%@-]*\]?", words[0].text):
            raise Wrong(ConfigCode.NOT_A_HOST(text=words[0].text))
        if len(words) > 1 and not (words[1].text.isdecimal() and 0 < int(words[1].text) < 65536):
            raise Wrong(ConfigCode.NOT_A_PORT(text=words[1].text), 1)
        return tuple(word.text for word in words[:2])

    return Value(
        arguments="<IP or DOMAIN> [<PORT 1..65535>]",
        pattern=r'\s+([^\s"]+)(?:\s+([0-9]{1,5}))?',
        read=read,
        write=quote_all,
        most=2,
    )


def fifo() -> Value:
    """PATH [USER [GROUP]]"""
    return Value(
        arguments="<PATH> [<USER> [<GROUP>]]",
        pattern=r'\s+([^\s"]+)(?:\s+([^\s"]+))?(?:\s+([^\s"]+))?',
        read=lambda words: tuple(word.text for word in words[:3]),
        write=quote_all,
        most=3,
    )


class MailGlobals(Block, frozen=True, kw_only=True):
    """Who is told by mail, and how."""

    notification_email: Annotated[
        tuple[tuple[str, ...], ...], entries(texts("ADDRESS"), "recipients of mail", may_be_empty=False)
    ] = ()
    notification_email_from: Annotated[
        str | None,
        keyword(text("ADDRESS"), "sender of mail", default="user@host", missing=Complaint.GENERAL),
    ] = None
    smtp_server: Annotated[tuple[str, ...] | None, keyword(mail_server(), "SMTP server", default="none, port 25")] = (
        None
    )
    smtp_helo_name: Annotated[
        str | None, keyword(optional(text("STRING"), ""), "name sent in HELO", default="the host name")
    ] = None
    smtp_connect_timeout: Annotated[
        int | None, keyword(integer(1, 4294, raised=True), "seconds for each step", default="30")
    ] = None
    smtp_alert: Annotated[bool | None, keyword(boolean(), "default of every smtp_alert")] = None
    smtp_alert_vrrp: Annotated[bool | None, keyword(boolean(), "for instances and groups", default="smtp_alert")] = None
    smtp_alert_checker: Annotated[
        bool | None, keyword(boolean(), "for virtual and real servers", default="smtp_alert")
    ] = None
    no_email_faults: Annotated[bool, keyword(flag(), "no mail on FAULT")] = False
    no_checker_emails: Annotated[
        bool | None, keyword(boolean(), "no mail of a check that leaves its server as it was", default="false")
    ] = None


class FifoWords(Block, frozen=True, kw_only=True):
    """A FIFO that gets events, and the program that reads it."""

    notify_fifo: Annotated[
        tuple[str, ...] | None, keyword(fifo(), "gets each event", missing=Complaint.GENERAL, unique=True)
    ] = None
    notify_fifo_script: Annotated[
        Command | None,
        keyword(command(), "reads the FIFO, whose path is appended", missing=Complaint.GENERAL, unique=True),
    ] = None


class ManagementGlobals(Block, frozen=True, kw_only=True):
    """SNMP and D-Bus."""

    snmp_socket: Annotated[
        str | None,
        keyword(
            text("SOCKET"),
            "the AgentX master",
            default="unix:/var/agentx/master",
            effect=False,
            missing=Complaint.GENERAL,
            exact=True,
            unique=True,
        ),
    ] = None
    enable_traps: Annotated[bool, keyword(flag(), "send SNMP traps", effect=False)] = False
    enable_snmp_vrrp: Annotated[
        bool, keyword(flag(), "serve instances", aliases=("enable_snmp_keepalived",), effect=False)
    ] = False
    enable_snmp_rfc: Annotated[bool, keyword(flag(), "serve both MIBs of the RFCs", effect=False)] = False
    enable_snmp_rfcv2: Annotated[bool, keyword(flag(), "serve the MIB of RFC 2787", effect=False)] = False
    enable_snmp_rfcv3: Annotated[bool, keyword(flag(), "serve the MIB of RFC 6527", effect=False)] = False
    enable_snmp_checker: Annotated[bool, keyword(flag(), "serve virtual servers", effect=False)] = False
    snmp_vs_stats_update_interval: Annotated[
        float | None, keyword(seconds(0.001, 30), "age of their statistics", default="5", effect=False)
    ] = None
    snmp_rs_stats_update_interval: Annotated[
        float | None,
        keyword(
            seconds(0.001, 30),
            "age of the statistics of real servers",
            default="snmp_vs_stats_update_interval",
            effect=False,
        ),
    ] = None
    enable_dbus: Annotated[bool, keyword(flag(), "serve D-Bus", effect=False)] = False
    dbus_service_name: Annotated[
        str | None,
        keyword(
            text("NAME"),
            "the bus name",
            default="org.keepalived.Vrrp1",
            effect=False,
            missing=Complaint.GENERAL,
        ),
    ] = None
    dbus_no_interface_name: Annotated[
        str | None,
        keyword(text("NAME"), "stands for a missing interface", default="none", effect=False),
    ] = None
