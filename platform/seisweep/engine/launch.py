"""Launch a sweep, resume a sweep. From the checks before any work to the last run closed in MLflow.

The state of a sweep is its folder `home/sweeps/NAME`: `sweep.json` (what it is), `ledger.jsonl` (everything that
happened), `study.journal` (Optuna), `tune/` (checkpoints), `logs/`. Ray's own snapshots are not used: a resumed
sweep is a new Tune session that is told the past, so it may have another concurrency, cluster or Ray version.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from search_spaces.narrowing import enumerate_space, searched_keys
from search_spaces.sweep import Sweep
from seisweep.artifacts.weights import with_local_weights
from seisweep.engine.journal import has_begun
from seisweep.engine.outcome import Outcome, Silent, Watch
from seisweep.engine.sweep_folder import JOURNAL_FILE, LEDGER_FILE, Launch
from seisweep.quiet import quiet
from seisweep.record import tags
from seisweep.record.ledger import Ledger
from seisweep.record.provenance import launch_tags
from seisweep.requested.trainable import Trainable
from seisweep.say import say_once
from seisweep.settings.driver_lock import has_driver
from seisweep.settings.earlier import as_it_began, with_the_space_of
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home, NameTakenError
from seisweep.settings.profile import Profile, with_limits
from seisweep.settings.storage import check_storage, storage_of
from seisweep.settings.which_store import Store, ready_to_write, store_by_default, store_of_sweep
from trainables.fetched import keep_in


def launch(
    sweep: Sweep,
    profile: Profile,
    home: Home,
    *,
    name: str,
    note: str = "",
    concurrency: int | None = None,
    store: Store | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Check everything, then run the sweep to its end or to Ctrl-C. Raises ValueError before any work.

    `store`: where it is recorded; default where the profile or the environment say, else in the home.
    """
    quiet()
    keep_in(home.fetched_dir, storage_of(profile).endpoint)
    trainable = Trainable.find(sweep.trainable)
    points = check_launch(sweep, trainable, profile, home, name)
    sweep, origin = with_local_weights(sweep, profile, home)
    facts = facts_of(sweep, trainable, enumerate_space(sweep) if points and origin else points)
    chosen = store or store_by_default(home, profile)
    if chosen.is_own:
        ready_to_write(chosen, home)

    from seisweep.engine.plan import Plan
    from seisweep.engine.session import run_session
    from seisweep.record.name_claim import check_that_the_name_is_free

    check_that_the_name_is_free(chosen.uri, name)
    ready_to_write(chosen, home).say()
    begun = Launch(
        folder=home.sweep_dir(name),
        id=uuid.uuid4().hex,
        name=name,
        sweep=sweep,
        profile=profile,
        note=note,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        tags=launch_tags() | {tags.PROFILE: profile.name} | facts | origin,
        store=chosen.kept_as,
        best_apart=True,
        lain_at=[str(home.root)],
        knows_unlabelled=True,
        asks_once=True,
    )
    watch = watch or Silent()
    _say_forecast(sweep, trainable, profile, home, concurrency, watch)
    return run_session(Plan(begun, home, chosen, trainable, profile, concurrency, is_new=True), watch)


def resume(
    name: str,
    profile: Profile | None,
    home: Home,
    *,
    limits: Mapping[str, Any] | None = None,
    concurrency: int | None = None,
    extend: int = 0,
    same_as: Sweep | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Go on with a sweep where its ledger ends, with `extend` more trials, in the store that it began in.

    `profile` None: the one that it was launched with. `limits` are fields of the profile that this session has
    otherwise. `same_as`: what the sweep must be, but for its number of trials. Raises ValueError before any work.
    """
    quiet()
    _check_that_it_is_here(home, name, profile)
    home.check()
    begun = Launch.read(home, name)
    _check_that_the_ledger_is_here(home, name)
    store = store_of_sweep(home, name, profile)
    if not store.is_own:
        from seisweep.results.open_store import open_store

        open_store(store.uri)  # or a ValueError: MLflow would make an empty database where one was taken away
    if same_as is not None:
        _check_that_it_is_the_same(begun, with_local_weights(same_as, profile or begun.profile, home)[0])
    if extend:
        _check_that_it_can_grow(begun.sweep, name)
    session = with_limits(profile or begun.profile, limits or {})
    keep_in(home.fetched_dir, storage_of(session).endpoint)
    trainable = Trainable.find(begun.sweep.trainable)
    if extend or sweep_state(home, name) == "interrupted":
        _check_that_all_is_there(trainable, begun)
        _check_disk(home, session)
        _check_place(begun.sweep, session)
    if store.is_own and not home.database.exists():
        say_once(f"{home.database} is not there: the record of {name} is written again, from its ledger")
    ready_to_write(store, home).say()

    from seisweep.engine.plan import Plan
    from seisweep.engine.session import run_session

    return run_session(Plan(begun, home, store, trainable, session, concurrency, extend), watch or Silent())


def check_launch(
    sweep: Sweep, trainable: Trainable, profile: Profile, home: Home, name: str | None
) -> list[dict[str, Any]]:
    """All that can be known of a new sweep without looking at its data. The points of a grid. Creates nothing. Raises
    ValueError in one line."""
    points = check_sweep(sweep, trainable, profile)
    if name is not None:
        _check_that_the_name_is_free(home, name)
    _check_disk(home, profile)
    _check_place(sweep, profile)
    return points


def check_sweep(sweep: Sweep, trainable: Trainable, profile: Profile) -> list[dict[str, Any]]:
    """Every setting and every point makes sense. The points of a grid. Raises ValueError in one line."""
    trainable.check(sweep)
    if profile.retry_oom:
        trainable.check_retry_oom()
    searched_keys(sweep)
    points = enumerate_space(sweep) if sweep.sampler == "grid" else []
    trainable.check_points(sweep, points)
    if sweep.scheduler == "pbt":
        from seisweep.engine.population import check_population

        check_population(sweep, trainable.defaults(sweep))
    return points


def _check_that_the_name_is_free(home: Home, name: str) -> None:
    """Raises NameTakenError that says how to go on with the sweep of this name."""
    if home.sweep_file(name).exists():
        raise NameTakenError(
            f"a sweep named {name} exists ({sweep_state(home, name)}): go on with `seisweep resume {name}`, add "
            "--extend N for more trials, or choose another --name"
        )


def facts_of(sweep: Sweep, trainable: Trainable, points: list[dict[str, Any]]) -> dict[str, str]:
    """What the record says of data and models. Of a grid with several, what they agree in. Raises ValueError."""
    facts = trainable.facts(sweep)
    for others in trainable.facts_of_points(sweep, points):
        facts = {key: fact for key, fact in facts.items() if key == tags.DATA_FINGERPRINT or others.get(key) == fact}
    if notice := facts.get(tags.DATA_NOTICE):
        say_once(f"data: {notice}; `seisweep data info` says more")
    if notice := facts.get(tags.SETTINGS_NOTICE):
        say_once(notice)
    return facts


def _say_forecast(
    sweep: Sweep, trainable: Trainable, profile: Profile, home: Home, concurrency: int | None, watch: Watch
) -> None:
    """How large and how long. What goes wrong with it is no reason not to begin."""
    from seisweep.engine.forecast import forecast

    if not (trainable.beside("network") or trainable.beside("rehearse")):
        return
    try:
        lines = list(forecast(sweep, trainable, profile, home.cache_dir, concurrency).lines(sweep))
    except Exception as error:  # a user's own network may fail in any way, and its trials say so better
        lines = [f"no estimate of sizes and time: {' '.join(str(error).split())[:200]}"]
    for line in lines:
        watch.log(line)


def _check_that_it_is_here(home: Home, name: str, profile: Profile | None) -> None:
    """The home has the folder of the sweep. Raises ValueError; a folder that was left behind is named as such."""
    if home.sweep_file(name).exists():
        return
    store = store_by_default(home, profile)
    if home.database.exists() or not store.is_own:
        from seisweep.results.open_store import open_store

        if open_store(store.uri).sweeps(name):
            where = f"home {home.root}" if store.is_own else f"the store {store.uri}"
            raise ValueError(
                f"{where} has the record of {name}, but its folder sweeps/{name} is not in {home.root}: bring it "
                "here, or go on in the home that it was launched from"
            )
    raise ValueError(f"no sweep named {name} in {home.root}{nearest(name, home.sweep_names)}")


def _check_that_the_ledger_is_here(home: Home, name: str) -> None:
    """A sweep that has begun has its ledger. Raises ValueError: without it nobody knows what has been done."""
    ledger, journal = (home.sweep_dir(name) / file for file in (LEDGER_FILE, JOURNAL_FILE))
    is_lost = not ledger.exists() or not ledger.stat().st_size
    if is_lost and journal.exists() and has_begun(journal):
        raise ValueError(
            f"{ledger} is missing or empty although the sweep has begun: restore it from a backup, or launch a new "
            f"sweep (what {name} had recorded is in MLflow)"
        )


def _check_that_it_can_grow(sweep: Sweep, name: str) -> None:
    """More trials of this sweep make sense. Raises ValueError."""
    if sweep.sampler == "grid":
        raise ValueError(f"{name} is a grid, which has all its points: launch a new sweep with more values")
    if sweep.scheduler == "pbt":
        raise ValueError(f"{name} is a population, which was compared as a whole: launch a new sweep with more samples")
    if sweep.samples is None:
        raise ValueError(f"{name} is bounded by its time, not by a number of trials: launch a new sweep")


def _check_that_it_is_the_same(begun: Launch, wanted: Sweep) -> None:
    """The sweep of this name is the wanted one, but for its number of trials. Raises ValueError that names a key."""
    wanted = with_the_space_of(begun.sweep, wanted)
    before, now = (
        dict(_keys(sweep)) for sweep in (begun.sweep_here, wanted if begun.knows_unlabelled else as_it_began(wanted))
    )
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key):
            was, given = (json.dumps(side[key]) if key in side else "not given" for side in (before, now))
            raise ValueError(
                f"{begun.name} cannot be extended by another sweep: {key} was {was} and is {given} here "
                f"(`seisweep resume {begun.name} --extend N` takes it as it was)"
            )


def _keys(sweep: Sweep) -> Iterator[tuple[str, Any]]:
    """What a sweep is, key by key, as plain data."""
    for field, value in sweep.model_dump(mode="json", exclude={"samples", "description"}).items():
        yield from value.items() if field in ("base", "vary") else [(field, value)]


def _check_disk(home: Home, profile: Profile) -> None:
    """Home and storage have room. Creates nothing. Raises ValueError in one line."""
    home.check()
    check_storage(profile)


def _check_place(sweep: Sweep, profile: Profile) -> None:
    """A trial fits on this machine, or a cluster answers. Starts nothing. Raises ValueError in one line."""
    from seisweep.engine.cluster import Resources, check_place

    check_place(profile, Resources(sweep, profile))


def _check_that_all_is_there(trainable: Trainable, begun: Launch) -> None:
    """The data that the sweep began with are still there and still the same. Raises ValueError."""
    now = trainable.facts(begun.sweep_here).get(tags.DATA_FINGERPRINT)
    before = begun.tags.get(tags.DATA_FINGERPRINT)
    if now != before:
        raise ValueError(
            f"the data of {begun.name} have changed since it began (fingerprint {before}, now {now}): "
            "its trials could not be compared; launch a new sweep"
        )


def sweep_state(home: Home, name: str) -> str:
    """running, finished, failed or interrupted: by the lock of its driver and by its ledger. Takes no lock and writes
    nothing. Raises ValueError where the ledger cannot be read."""
    folder = home.sweep_dir(name)
    if has_driver(folder):
        return "running"
    return Ledger(folder / LEDGER_FILE, read_only=True).outcome or "interrupted"
