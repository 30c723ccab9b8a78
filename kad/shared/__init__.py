"""What the parent and the children both use: messages, the shared page, the log, the state machine."""
