"""Tests that need a kernel with ip_vs: they run inside a guest that boots Debian's kernel, and are reported here."""
