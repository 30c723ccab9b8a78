"""The IPVS table: what is wanted, what is there, what to do about it."""
