"""LANs of routers on virtual time: the real decisions and the real packets, and nobody waits."""
