"""The words of VRRP instances, groups, addresses and routes, and what they mean."""
