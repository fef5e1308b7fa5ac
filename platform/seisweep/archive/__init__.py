"""A sweep as one file, for a reviewer or another machine: written by one home, taken in by another."""
