"""Files, FIFOs and settings of this host."""
