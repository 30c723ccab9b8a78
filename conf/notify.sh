#!/bin/sh
# What happens when this host changes its state: here a line in the system's log; put your own actions in.
# kad also sets KAD_REASON (why, in one sentence) and KAD_PREVIOUS_STATE.

case "$1" in
    master | backup | fault)
        logger -t kad-notify "$(uname -n) is now $1: ${KAD_REASON:-no reason given}"
        ;;
    *)
        echo "Usage: $0 master|backup|fault" >&2
        exit 2
        ;;
esac
