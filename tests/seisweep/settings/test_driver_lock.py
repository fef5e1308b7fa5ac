"""Who runs a sweep, as another process sees it."""

from __future__ import annotations

import os
import platform

from seisweep.settings import driver_lock as lock
from seisweep.settings.driver_lock import driver_of, has_driver


def test_the_one_that_holds_the_lock_is_known_by_host_and_process(tmp_path):
    with lock.driver_lock(tmp_path):
        found = driver_of(tmp_path)
    assert found == (platform.node(), os.getpid(), "")
    assert not has_driver(tmp_path)
    assert driver_of(tmp_path) is None  # what it has left says nothing any more


def test_one_of_an_older_version_leaves_no_word(tmp_path):
    with lock.driver_lock(tmp_path):
        (tmp_path / lock.DRIVER_FILE).unlink()
        assert has_driver(tmp_path)
        assert driver_of(tmp_path) is None
