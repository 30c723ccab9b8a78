"""The vrrp process: elects masters and owns the virtual addresses."""
