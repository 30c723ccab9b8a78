"""Sockets for packets, checks and channels."""
