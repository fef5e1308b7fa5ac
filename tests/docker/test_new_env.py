"""new-env.sh: secrets that nobody could guess, for one person, and never others over those in use."""

from __future__ import annotations

import pytest

EXAMPLES = {".env.example": 6, "kubernetes/base/secrets.env.example": 6}
"""Templates, and how many secrets each has."""


def values(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_secret_is_filled_in_and_differs(programs, docker_folder, example):
    file = programs.folder / "new"
    code, said = programs.run(str(docker_folder / "new-env.sh"), str(file), str(docker_folder / example))
    assert code == 0, said
    assert file.stat().st_mode & 0o777 == 0o600
    written, empty = values(file.read_text()), values((docker_folder / example).read_text())
    assert list(written) == list(empty)
    assert set(empty.values()) == {""}  # an example has no secret that works
    secrets = [value for name, value in written.items() if value and name != "GIT_COMMIT"]
    assert len(secrets) == len(set(secrets)) == EXAMPLES[example]
    assert all(len(value) == 32 and value.isalnum() for value in secrets)


def test_secrets_in_use_are_not_written_over(programs, docker_folder):
    file = programs.folder / ".env"
    file.write_text("RAY_TOKEN=in-use\n")
    code, said = programs.run(str(docker_folder / "new-env.sh"), str(file), str(docker_folder / ".env.example"))
    assert code == 2
    assert f"new-env.sh: {file} is there already" in said
    assert file.read_text() == "RAY_TOKEN=in-use\n"


def test_a_file_without_a_template_is_refused(programs, docker_folder):
    code, said = programs.run(str(docker_folder / "new-env.sh"), str(programs.folder / "other"))
    assert (code, said.count("\n")) == (2, 1)
    assert "other.example cannot be read" in said
    assert not (programs.folder / "other").exists()
