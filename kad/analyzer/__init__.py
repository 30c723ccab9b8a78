"""The short-lived process that reads a configuration: the whole language, one slice a child out."""
