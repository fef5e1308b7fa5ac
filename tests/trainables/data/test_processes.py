"""Processes that share a job: what they complain of, and who ends them."""

from __future__ import annotations

from trainables.data.processes import interpreters, last_words


def test_a_warning_is_not_what_a_process_ended_with(tmp_path):
    ends = "import sys; sys.exit('what is wrong')"
    warns = "import warnings; warnings.warn('old')"
    with interpreters([["-c", ends], ["-c", warns]], tmp_path / "errors") as processes:
        assert [process.wait() for process in processes] == [1, 0]
    assert last_words(tmp_path / "errors") == "what is wrong"


def test_none_outlives_who_began_it(tmp_path):
    with interpreters([["-c", "import time; time.sleep(600)"]], tmp_path / "errors") as (process,):
        assert process.poll() is None
    assert process.returncode == -9
    assert last_words(tmp_path / "errors") == ""
