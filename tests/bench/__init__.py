"""kad and keepalived side by side: what each costs and how fast it is, as ratios of medians."""
