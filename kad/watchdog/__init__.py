"""The parent: forks, supervises, relays, reloads and answers the control socket; no child imports it."""
