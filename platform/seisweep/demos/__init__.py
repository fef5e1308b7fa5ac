"""Tours of the command line."""
