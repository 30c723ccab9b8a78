"""The long shows use the same LANs as the lab."""

from tests.lab.conftest import lab, pair

__all__ = ["lab", "pair"]
