"""The bfd process."""
