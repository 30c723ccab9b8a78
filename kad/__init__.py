"""kad: a high-availability daemon that reads keepalived.conf."""

VERSION = "0.1.0"
