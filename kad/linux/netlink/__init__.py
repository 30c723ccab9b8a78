"""Netlink: addresses, links, routes, nftables, IPVS."""
