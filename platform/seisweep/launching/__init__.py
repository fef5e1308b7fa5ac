"""Starts work, for the command line and for Python alike: here, or as a job of a cluster."""
