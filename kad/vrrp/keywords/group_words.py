"""The words of vrrp_sync_group."""

from typing import Annotated

from kad.config.keyword import Block, Head, Inline, entries, keyword
from kad.config.values import boolean, flag, text, texts
from kad.vrrp.keywords.instance_words import NotifyWords, TrackWords


class GroupBlock(Block, frozen=True, kw_only=True):
    """vrrp_sync_group NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    group: Annotated[
        tuple[tuple[str, ...], ...], entries(texts("VRRP INSTANCE"), "its members", may_be_empty=False, unique=True)
    ] = ()
    notifies: Annotated[NotifyWords, Inline()]
    tracks: Annotated[TrackWords, Inline()]
    smtp_alert: Annotated[bool | None, keyword(boolean(), "mail on transitions", default="smtp_alert_vrrp")] = None
    notify_priority_changes: Annotated[
        bool | None, keyword(boolean(), "the FIFO gets priorities", default="vrrp_notify_priority_changes")
    ] = None
    sync_group_tracking_weight: Annotated[bool, keyword(flag(), "weighted tracking stays in force")] = False
    global_tracking: Annotated[
        bool, keyword(flag(), "accepted without effect", instead="track_interface or track_script of the group")
    ] = False
