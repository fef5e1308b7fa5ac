"""Data and weights that lie elsewhere come to this machine once, whole or not at all."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainables import fetched
from trainables.data.catalog import dataset_folder, fingerprint, load_dataset
from trainables.distillation import DistillationConfig, preflight
from trainables.fetched import NotFetchedError, dataset_here, keep_in, weights_here
from trainables.models.pretrained import find_checkpoint
from trainables.models.weights import load_weights


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setattr(fetched, "PAUSE_S", 0.0)
    keep_in(tmp_path / "cache")
    yield tmp_path / "cache"
    fetched._cache = fetched._Cache()
    fetched._known.clear()


class Served:
    """A folder on the web, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.breaks = folder, [], 0
        served = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked.append(self.path)
                if served.breaks:
                    served.breaks -= 1
                    self.send_response(200)
                    self.send_header("Content-Length", "1000000")
                    self.end_headers()
                    self.wfile.write(b"half")
                    self.close_connection = True
                else:
                    super().do_GET()

            def log_message(self, *words: object) -> None: ...

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web(tmp_path) -> Iterator[Served]:
    (tmp_path / "served").mkdir()
    served = Served(tmp_path / "served")
    yield served
    served.end()


@pytest.fixture
def data_on_the_web(web, earthquakes) -> str:
    (web.folder / "quakes").symlink_to(earthquakes)
    return f"{web.uri}/quakes"


def test_a_data_set_of_the_web_is_fetched_once_and_is_the_same(web, data_on_the_web, earthquakes, cache):
    assert fingerprint(data_on_the_web) == fingerprint(str(earthquakes))
    assert len(load_dataset(data_on_the_web)) == len(load_dataset(str(earthquakes)))
    assert web.asked.count("/quakes/waveforms.hdf5") == 1
    folder = dataset_folder(data_on_the_web)
    assert folder.parent == cache
    keep_in(cache, "http://elsewhere")  # as another process, which knows nothing of it yet
    assert dataset_folder(data_on_the_web) == folder
    assert web.asked.count("/quakes/waveforms.hdf5") == 1


def test_a_data_set_in_a_bucket(s3, earthquakes, cache):
    for file in earthquakes.iterdir():
        s3.put(f"quakes/{file.name}", file.read_bytes())
    keep_in(cache, s3.endpoint)
    assert fingerprint("s3://lab/quakes/") == fingerprint(str(earthquakes))
    with pytest.raises(NotFetchedError, match=r"data.dataset=s3://lab/nothing: cannot be fetched: no such file"):
        load_dataset("s3://lab/nothing")
    with pytest.raises(NotFetchedError, match=r"s3://nowhere/x: cannot be fetched: no such file"):
        load_dataset("s3://nowhere/x")


def test_the_record_of_a_distillation_names_the_addresses(web, data_on_the_web, teacher_file, tiny):
    for half in teacher_file.parent.iterdir():
        (web.folder / half.name).write_bytes(half.read_bytes())
    given = {"data": tiny["data"] | {"dataset": data_on_the_web}, "teacher": {"weights": f"{web.uri}/phasenet"}}
    facts = preflight(DistillationConfig.model_validate(tiny | given))
    here = preflight(DistillationConfig.model_validate(tiny))
    assert (facts["dataset"], facts["teacher"]) == (data_on_the_web, f"{web.uri}/phasenet")
    for fact in ("data_fingerprint", "teacher_digest", "traces"):
        assert facts[fact] == here[fact]


def test_two_at_once_fetch_once(web, data_on_the_web):
    found = []

    def fetch() -> None:
        server = fetched.server_of(data_on_the_web, "")
        found.append(fetched._fetched(server, server.dataset))

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert web.asked.count("/quakes/waveforms.hdf5") == 1


def test_a_connection_that_breaks_is_tried_again(web, cache):
    (web.folder / "w.ckpt").write_bytes(b"weights")
    web.breaks = 2
    assert Path(weights_here(f"{web.uri}/w.ckpt")).read_bytes() == b"weights"
    web.breaks = 99
    (web.folder / "v.ckpt").write_bytes(b"weights")
    with pytest.raises(NotFetchedError, match=r"v\.ckpt: cannot be fetched: "):
        weights_here(f"{web.uri}/v.ckpt")
    assert not [path for path in cache.iterdir() if path.name.startswith(("v", ".v")) and path.is_dir()]


def test_what_has_changed_there_is_fetched_again_and_what_is_gone_is_used_no_more(web, cache):
    (web.folder / "w.ckpt").write_bytes(b"old")
    uri = f"{web.uri}/w.ckpt"
    assert Path(weights_here(uri)).read_bytes() == b"old"
    (web.folder / "w.ckpt").write_bytes(b"newer")
    assert Path(weights_here(uri)).read_bytes() == b"old", "this process takes it for what there is"
    fetched._known.clear()
    assert Path(weights_here(uri)).read_bytes() == b"newer"
    (web.folder / "w.ckpt").unlink()
    fetched._known.clear()
    with pytest.raises(NotFetchedError, match="no such file there"):
        weights_here(uri)


def test_a_server_that_is_away_leaves_what_was_fetched_last(web, cache):
    (web.folder / "w.ckpt").write_bytes(b"weights")
    uri = f"{web.uri}/w.ckpt"
    found = weights_here(uri)
    web.end()
    fetched._known.clear()
    assert weights_here(uri) == found
    with pytest.raises(NotFetchedError, match="Connection refused"):
        weights_here(f"{web.uri}/other.ckpt")


def test_what_a_killed_process_left_is_removed(web, cache):
    (web.folder / "w.ckpt").write_bytes(b"weights")
    folder = Path(weights_here(f"{web.uri}/w.ckpt")).parent
    stale = folder.with_name(f".{folder.name}.{'0' * 32}")
    folder.rename(stale)
    fetched._known.clear()
    weights_here(f"{web.uri}/w.ckpt")
    assert folder.is_dir()
    assert not stale.exists()


@pytest.mark.parametrize("name", ["phasenet", "phasenet.pt.v1"])
@pytest.mark.parametrize("where", ["web", "bucket"])
def test_a_pair_comes_by_its_stem_or_by_either_half(request, cache, teacher_file, name, where):
    from seisbench.models import PhaseNet

    halves = [teacher_file.with_name(f"phasenet.{kind}.v1") for kind in ("json", "pt")]
    if where == "web":
        server = request.getfixturevalue("web")
        for half in halves:
            (server.folder / half.name).write_bytes(half.read_bytes())
        uri = f"{server.uri}/{name}"
    else:
        s3 = request.getfixturevalue("s3")
        for half in halves:
            s3.put(f"models/{half.name}", half.read_bytes())
        s3.put("models/phasenet2.pt.v1", b"another")
        keep_in(cache, s3.endpoint)
        uri = f"s3://lab/models/{name}"
    assert load_weights(PhaseNet, uri).component_order == "ZNE"
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert sorted(file.name for file in folder.iterdir()) == ["phasenet.json.v1", "phasenet.pt.v1"]


def test_a_folder_of_a_bucket_is_a_checkpoint(s3, cache):
    s3.put("runs/7/artifacts/encoder.pt", b"weights")
    keep_in(cache, s3.endpoint)
    assert find_checkpoint("s3://lab/runs/7").read_bytes() == b"weights"


def test_names_that_lead_out_of_the_folder_are_refused(web, tmp_path):
    (web.folder / "chunks").write_text("../../../../evil")
    (web.folder / "metadata../../../../evil.csv").parent.mkdir(parents=True, exist_ok=True)
    with pytest.raises(OSError, match="not below its folder"):
        fetched.Remote("metadata/../../x.csv", "", None, "")
    with pytest.raises(NotFetchedError):
        dataset_here(web.uri)


def test_a_disk_without_room_is_known_before(web, monkeypatch, cache):
    (web.folder / "w.ckpt").write_bytes(bytes(1000))
    monkeypatch.setattr(fetched.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(NotFetchedError, match=r"the disk has 0\.0 GB free"):
        weights_here(f"{web.uri}/w.ckpt")


def test_long_work_says_how_far_it_is(web, monkeypatch, caplog, capsys):
    monkeypatch.setattr(fetched, "SAY_EVERY_S", -1.0)
    (web.folder / "w.ckpt").write_bytes(bytes(10**6))
    with caplog.at_level("INFO", logger="trainables.data"):
        weights_here(f"{web.uri}/w.ckpt")
    assert any("1 of 1 MB" in line for line in caplog.messages)
    assert "fetching 1.0 MB to this machine" in capsys.readouterr().err
