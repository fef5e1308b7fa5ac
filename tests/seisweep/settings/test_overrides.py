from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator
from seisweep.settings.fields import nearest
from seisweep.settings.overrides import build_config, check_narrowing, flatten, nest, parse_overrides, parse_value
from seisweep.settings.profile import Profile, load_profile

from trainables.config import Config


class Loss(Config):
    alpha: float = Field(0.5, ge=0, le=1)
    temperature: float = Field(3.0, gt=0)


class Data(Config):
    dataset: str
    cache_dir: Path | None = None


class Settings(Config):
    seed: int = 0
    data: Data
    loss: Loss = Loss()
    monitor: Literal["dev/f1", "dev/loss"] = "dev/f1"
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        if self.low > self.high:
            raise ValueError(f"low = {self.low} lies above high = {self.high}")
        return self


GOOD = {"data.dataset": "ETHZ"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-2", -2),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("none", None),
        ("ETHZ", "ETHZ"),
        ("dev/f1", "dev/f1"),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ("[original, ../mine]", ["original", "../mine"]),
        ("[stead]", ["stead"]),
        ("[]", []),
        ("../records", "../records"),
        ("", ""),
        ("NaN", "NaN"),
        ("2020-01-01", "2020-01-01"),
    ],
)
def test_a_value_is_read_as_json_or_as_text(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_brackets_hold_one_value_that_is_a_list():
    overrides = parse_overrides(["teachers=[a,./b]", "several=[a],[a,b],[]", "layers=[1,2],[3]", "words=a,b"])
    assert overrides.base == {"teachers": ["a", "./b"]}
    assert overrides.vary == {
        "several": [["a"], ["a", "b"], []], "layers": [[1, 2], [3]], "words": ["a", "b"]
    }  # fmt: skip


def test_values_lists_and_ranges_are_told_apart():
    fixed, vary = parse_overrides(
        [
            "loss.alpha=0.2..0.6",
            "student.pooling=2,4",
            "data.dataset=../a",
            'name="a,b"',
            "layers=[1,2]",
            "rate=1e-4..1e-3",
        ]
    )
    assert fixed == {"data.dataset": "../a", "name": "a,b", "layers": [1, 2]}
    assert vary == {
        "loss.alpha": {"low": 0.2, "high": 0.6},
        "student.pooling": [2, 4],
        "rate": {"low": 1e-4, "high": 1e-3},
    }


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["loss.alpha"], "not key=value"),
        (["=3"], "not key=value"),
        (["--samples"], "not key=value"),
        (["seed=1", "seed=2"], "seed is given twice"),
        (["loss.alpha=0.6..0.2"], "low end must lie below"),
    ],
)
def test_what_is_no_override_is_refused(words, part):
    with pytest.raises(ValueError, match=part):
        parse_overrides(words)


@given(st.dictionaries(st.sampled_from(["a.b", "a.c", "d", "e.f.g"]), st.integers() | st.text(), min_size=1))
def test_nesting_and_flattening_are_inverse(flat):
    assert dict(flatten(nest(flat))) == flat


@given(st.one_of(st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)))
def test_what_json_writes_is_read_back(value):
    assert parse_value(json.dumps(value)) == value


def test_a_good_config_is_built_over_its_defaults():
    config = build_config(Settings, {**GOOD, "loss.alpha": 0.25, "data.cache_dir": "/tmp/cache"})
    assert config.loss == Loss(alpha=0.25, temperature=3.0)
    assert config.data.cache_dir == Path("/tmp/cache")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"los.alpha": 1}, "unknown key los.alpha; did you mean loss.alpha?"),
        ({"alpha": 1}, "unknown key alpha; did you mean loss.alpha?"),
        ({"loss.alpha.x": 1}, "unknown key loss.alpha.x; did you mean loss.alpha?"),
        ({**GOOD, "loss.alpha": 1.5}, "loss.alpha = 1.5 is not allowed: a number, at least 0, at most 1"),
        ({**GOOD, "loss.temperature": 0}, "loss.temperature = 0 is not allowed: a number, above 0"),
        ({**GOOD, "monitor": "f1"}, 'monitor = "f1" is not allowed: one of dev/f1, dev/loss'),
        ({**GOOD, "seed": "a"}, 'seed = "a" is not allowed: a whole number'),
        ({**GOOD, "seed": True}, "seed = true is not allowed: a whole number"),
        ({**GOOD, "loss.alpha": True}, "loss.alpha = true is not allowed: a number, at least 0, at most 1"),
        ({**GOOD, "seed": 0.5}, "seed = 0.5 is not allowed: a whole number"),
        ({**GOOD, "loss": 3}, "loss = 3 is not allowed: a group of settings: loss.alpha, loss.temperature"),
        ({**GOOD, "data.cache_dir": 3}, "data.cache_dir = 3 is not allowed: a path or null"),
        ({"seed": 1}, "data.dataset is missing: give data.dataset=... (text)"),
        ({**GOOD, "loss.alpha": 2, "seed": "a"}, 'seed = "a" is not allowed: a whole number (and 1 more)'),
        ({**GOOD, "low": 3}, "low = 3 lies above high = 1"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it_and_what_is_allowed(base, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_config(Settings, base)


def test_every_narrowed_value_must_be_allowed():
    check_narrowing(Settings, GOOD, {"loss.alpha": {"low": 0.2, "high": 1}, "monitor": ["dev/f1", "dev/loss"]})
    with pytest.raises(ValueError, match=r"loss.alpha = 1.2 is not allowed"):
        check_narrowing(Settings, GOOD, {"loss.alpha": {"low": 0.2, "high": 1.2}})
    with pytest.raises(ValueError, match=r'monitor = "f1" is not allowed'):
        check_narrowing(Settings, GOOD, {"monitor": ["dev/f1", "f1"]})


def test_the_local_profile_needs_nothing():
    assert load_profile("local") == Profile(name="local")


def test_the_cluster_profile_takes_its_addresses_from_the_environment(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_URI, which is not set"):
        load_profile("cluster")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("SEISWEEP_STORAGE", "/nfs/sweeps")
    profile = load_profile("cluster")
    assert (profile.tracking_uri, profile.storage_path, profile.runner) == (
        "http://mlflow:5000",
        "/nfs/sweeps",
        "ray-train",
    )


@pytest.mark.parametrize(("name", "gpus"), [("cluster", 1), ("cluster-cpu", 0)])
def test_the_built_in_clusters_take_jobs_where_the_environment_names_a_job_server(name, gpus, monkeypatch):
    for variable in ("MLFLOW_TRACKING_URI", "SEISWEEP_STORAGE"):
        monkeypatch.setenv(variable, "/nfs")
    for variable in ("SEISWEEP_SUBMIT_TO", "SEISWEEP_JOB_HOME"):
        monkeypatch.delenv(variable, raising=False)
    profile = load_profile(name)
    assert (profile.gpus_per_worker, profile.submit_to, profile.job_home) == (gpus, None, None)
    assert "MLFLOW_TRACKING_PASSWORD" in profile.carry
    monkeypatch.setenv("SEISWEEP_SUBMIT_TO", "http://head:8265")
    assert load_profile(name).submit_to == "http://head:8265"


def test_a_job_has_the_profile_that_it_was_submitted_with(monkeypatch):
    monkeypatch.setenv("SEISWEEP_JOB_PROFILE", Profile(name="lab", workers=3).model_dump_json(exclude_defaults=True))
    assert load_profile("lab").workers == 3
    assert load_profile("local").workers == 1
    monkeypatch.setenv("SEISWEEP_JOB_PROFILE", '{"name": "lab", "wrokers": 3}')
    with pytest.raises(ValueError, match=r"profile lab, from another version of seisweep: unknown key wrokers"):
        load_profile("lab")


def test_a_profile_of_the_users_own_is_found_by_name_and_by_path(tmp_path):
    (tmp_path / "gpu.toml").write_text("gpus_per_worker = 0.5\n")
    assert load_profile("gpu", tmp_path).gpus_per_worker == 0.5
    assert load_profile(str(tmp_path / "gpu.toml")).name == "gpu"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("wrokers = 2\n", "unknown key wrokers; did you mean workers"),
        ('runner = "threads"\n', "one of in-process, ray-train"),
        ("workers = \n", "is not valid TOML"),
    ],
)
def test_a_bad_profile_is_one_line(tmp_path, text, part):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ValueError, match=part) as caught:
        load_profile(str(tmp_path / "bad.toml"))
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(ValueError, match="no profile named clutser; did you mean cluster"):
        load_profile("clutser")
    with pytest.raises(ValueError, match="No such file"):
        load_profile("absent.toml")


@pytest.mark.parametrize("text", ["[" * 2000, "[" * 2000 + "]" * 2000, '{"a":' * 2000, "[a,[b," * 100])
def test_brackets_that_lie_too_deep_are_one_clear_error(text):
    with pytest.raises(ValueError, match=r"^x has brackets \d+ deep; a value has at most 20, as in \[a,\[b,c\]\]$"):
        parse_overrides([f"x={text}"])
    assert parse_overrides(["x=[a,[b,c]]"]).base == {"x": ["a", ["b", "c"]]}


def test_a_profile_whose_brackets_lie_too_deep_is_one_clear_error(tmp_path):
    (tmp_path / "deep.toml").write_text("workers = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(ValueError, match="is not valid TOML"):
        load_profile(str(tmp_path / "deep.toml"))


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (["loss.alpha", "seed"], ""),
        (["teacher.weights", "seed"], "; did you mean teacher.weights?"),
        (["teacher.weights", "teachers"], "; did you mean teacher.weights or teachers?"),
        (
            ["teacher.weights", "second_teacher.weights", "teachers"],
            "; did you mean teacher.weights, second_teacher.weights or teachers?",
        ),
    ],
)
def test_several_names_that_are_near_are_read_as_a_list(known, said):
    assert nearest("teacher.weigths", known) == (said or "; known: loss.alpha, seed")
