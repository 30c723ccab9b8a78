"""The runner process: it observes the host and runs the programs of the operator."""
