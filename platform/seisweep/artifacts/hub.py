"""Picker folders on a Hugging Face hub: `hf:ORG/REPO`, its address HF_ENDPOINT or huggingface.co.

What is fetched is data from strangers: weights, ONNX files and descriptions. No code of a repository comes along.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seisweep.say import say_once
from seisweep.settings.paths import HUB
from trainables.export.picker_folder import DESCRIPTION_FILE, check_picker_folder

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FOLDER = "hub"
"""Of the home's cache."""

DATA = ["*.json", "*.json.v*", "*.pt.v*", "*.onnx"]
REPLACED = [*DATA, "*.py", "*.pyz"]
"""What goes from a repository that the folder does not have: an INT8 file that is refused now."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_OWN_PATH = re.compile(r"(?:\b(?:file|sqlite):/{2,3}|(?<![\w.:/~-])~?)(?:/[\w.+@-]+){2,}/?")
"""A path of a machine in a text, and no address, date or doi."""

WORDS = {401: "the token is not accepted", 403: "the token may not do that", 404: "there is no such repository"}


class NotPushedError(ValueError):
    """A folder that did not arrive, in one line."""


def fetch(text: str, cache: Path) -> Path:
    """The folder of `hf:ORG/REPO[@REVISION]`, kept in `cache`: asked for each time, fetched where it is new. Raises
    ValueError in one line."""
    repository, _, revision = text.removeprefix(HUB).partition("@")
    _check_name(repository, text)
    api = _api()
    with _one_line(text, api):
        found = api.snapshot_download(repository, revision=revision or None, cache_dir=cache, allow_patterns=DATA)
    if not Path(found).is_dir():
        raise ValueError(f"{text}: this repository holds no picker; looked for {', '.join(DATA)}")
    say_once(f"{text}: revision {Path(found).name}")  # where the hub is away it is the latest that was fetched
    return Path(found)


@dataclass(frozen=True)
class Hub:
    """A repository that may be written to."""

    repository: str
    api: HfApi

    @classmethod
    def ready(cls, repository: str) -> Hub:
        """Whether a folder can be pushed there, before anything is done for it: the library, a token, whose it is, and
        that nothing else lies there. Raises ValueError in one line."""
        _check_name(repository, f"--push {repository}")
        api = _api()
        from huggingface_hub import get_token

        if get_token() is None:
            raise ValueError(
                f"--push {repository}: no token for {api.endpoint}; set HF_TOKEN, or log in once with `hf auth login`"
            )
        with _one_line(f"--push {repository}", api):
            who = api.whoami()
            files = api.list_repo_files(repository) if api.repo_exists(repository) else []
        names = [who["name"], *(one["name"] for one in who.get("orgs", []))]
        if repository.partition("/")[0] not in names:
            raise ValueError(f"--push {repository}: the token is only for {', '.join(names)}")
        if DESCRIPTION_FILE not in files and {*files} - {".gitattributes", "README.md"}:
            raise ValueError(f"--push {repository}: this repository exists and holds no picker; choose another")
        return cls(repository, api)

    def push(self, folder: Path) -> str:
        """Upload a picker folder as one commit; returns the address of its page. A repository that is not there yet is
        made, for its owner's eyes alone. Raises ValueError where the folder is incomplete, NotPushedError."""
        check_picker_folder(folder)
        with tempfile.TemporaryDirectory(prefix="seisweep-hub-") as scratch:
            copy = Path(scratch, "picker")
            shutil.copytree(folder, copy)
            for file in copy.iterdir():
                if file.suffix == ".md" or ".json" in file.suffixes:
                    without_own_paths(file)
            try:
                with _one_line(f"--push {self.repository}", self.api):
                    page = self.api.create_repo(self.repository, private=True, exist_ok=True)
                    self.api.upload_folder(
                        repo_id=self.repository,
                        folder_path=copy,
                        commit_message="A phase picker of seisweep",
                        delete_patterns=REPLACED,
                    )
            except ValueError as error:
                raise NotPushedError(str(error)) from None
        return str(page)


def without_own_paths(file: Path) -> None:
    """Of paths of this machine (data sets, teachers) the last part stays."""
    text = file.read_text(encoding="utf-8")
    file.write_text(_OWN_PATH.sub(lambda found: Path(found[0]).name, text), encoding="utf-8")


def _check_name(repository: str, named: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(f"{named}: a repository of a hub is ORG/REPO, letters, digits, - _ . alone")


def _api() -> HfApi:
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars, logging
    except ImportError:
        raise ValueError('a hub needs huggingface_hub: pip install "seisweep[hub]"') from None
    disable_progress_bars()
    logging.set_verbosity_error()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="seisweep")


@contextmanager
def _one_line(named: str, api: HfApi) -> Iterator[None]:
    """Errors of the hub as a ValueError that says what was asked, and what would be right."""
    from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

    try:
        yield
    except RevisionNotFoundError:
        raise ValueError(f"{named}: {api.endpoint} has no such revision of it") from None
    except HfHubHTTPError as error:
        code = error.response.status_code
        words = WORDS.get(code, f"it answers {code} {error.response.reason_phrase}")
        private = "; a private one needs HF_TOKEN" if code in (401, 404) and not named.startswith("--push") else ""
        raise ValueError(f"{named}: {words} ({api.endpoint}){private}") from None
    except Exception as error:  # of whichever library it asks the hub with
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{named}: {api.endpoint} does not answer ({reason})") from None
