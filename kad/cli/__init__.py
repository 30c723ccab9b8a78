"""The command line: one file for each thing that an operator asks for."""
