"""The only room that touches Linux."""
