"""What the vrrp process changes and follows in the kernel."""
