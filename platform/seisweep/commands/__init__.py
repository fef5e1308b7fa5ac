"""The commands of `seisweep`, one file a family. They check and print; the work is done elsewhere."""
