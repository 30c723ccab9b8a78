"""What moves a priority or raises a fault: interfaces, scripts, processes, files, BFD sessions."""
