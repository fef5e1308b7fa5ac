"""What can start: trainables, and sweeps as they were asked for."""
