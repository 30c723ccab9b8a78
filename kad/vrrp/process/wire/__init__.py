"""What the vrrp process sends and receives."""
