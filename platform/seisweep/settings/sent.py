"""What was sent from this home to clusters, and with which profile: so that a name is enough to come back to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from seisweep.settings.home import Home
from seisweep.settings.overrides import build_config
from seisweep.settings.profile import Profile
from trainables.atomic import whole_file


def keep(home: Home, sweep: str, profile: Profile) -> None:
    """Remember that a sweep was sent with this profile."""
    home.jobs_dir.mkdir(parents=True, exist_ok=True)
    record = {
        "sweep": sweep,
        "sent": datetime.now(UTC).isoformat(timespec="seconds"),
        "profile": profile.model_dump(mode="json", exclude_defaults=True),
    }
    with whole_file(home.jobs_dir / f"{sweep}.json") as file:
        file.write_text(json.dumps(record, indent=2), encoding="utf-8")


def forget(home: Home, sweep: str) -> None:
    """It was not sent, as far as this home knows."""
    (home.jobs_dir / f"{sweep}.json").unlink(missing_ok=True)


def sent_with(home: Home, sweep: str) -> Profile | None:
    """The profile with which a sweep was sent from this home; None where it was not. Raises ValueError where the file
    that says so cannot be read."""
    file = home.jobs_dir / f"{sweep}.json"
    try:
        return build_config(Profile, json.loads(file.read_text(encoding="utf-8"))["profile"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} cannot be read: {' '.join(str(error).split())[:120]}") from None


def sent_sweeps(home: Home) -> list[str]:
    """By name."""
    return sorted(file.stem for file in home.jobs_dir.glob("*.json"))
