"""The ipvs process."""
