"""Processes, privileges, scheduling and memory of this host."""
