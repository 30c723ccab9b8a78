"""The vrrp process."""
