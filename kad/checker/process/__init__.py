"""The checker process."""
