"""The findings about scripts, FIFOs and mail."""

from __future__ import annotations

import enum

from kad.config.remark import Code


@enum.unique
class RunnerCode(Code):
    """Each with its sentence."""

    NO_SMTP_SERVER = "no mail is sent without smtp_server"
    NO_NOTIFICATION_EMAIL = "no mail is sent without notification_email"
    FIFO_TAKEN = "{path} gets every event already; {prefix}notify_fifo is ignored"
    FIFO_SCRIPT_WITHOUT_FIFO = "{prefix}notify_fifo_script has no {prefix}notify_fifo to read"
    SCRIPT_WITHOUT_COMMAND = "vrrp_script {name} has no script; it is ignored"
    IMMEDIATE_WITHOUT_EFFECT = "immediate has no effect for a program that is run each interval; it is ignored"
    SCRIPT_DEFINED_TWICE = "vrrp_script {name} is already defined; it is ignored"
