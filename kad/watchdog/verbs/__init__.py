"""The verbs of the control socket: each module defines one as VERB, under its own name."""
