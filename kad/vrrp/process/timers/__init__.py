"""When the vrrp process acts: timers, and the actions that are due."""
