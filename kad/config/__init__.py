"""Text to tree to typed values to slices; knows the language, and no keepalived word."""
