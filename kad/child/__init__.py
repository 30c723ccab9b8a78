"""What every forked child shares: its main function, the I/O multiplexer and its scheduling."""
