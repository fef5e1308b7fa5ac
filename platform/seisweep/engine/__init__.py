"""Runs a sweep: launch, one session of Ray Tune, recovery, resume."""
