"""Tests that run on several machines; `cluster.py` says how to write one."""
