"""The only room that touches Linux: system calls in, plain values out, `Refused` when the kernel says no."""
