"""The runner: observes the host, runs programs, sends mail."""
