"""Bidirectional forwarding detection: the process that knows within milliseconds whether a neighbour still answers."""
