"""What processes are given and what they report: frozen values, no behaviour, no I/O."""
