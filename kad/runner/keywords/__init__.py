"""The words of scripts, FIFOs and mail."""
