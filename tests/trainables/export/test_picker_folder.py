"""The picker folder: files that pick without torch and seisweep, wherever they lie."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lifelike import picks_in, stream, write
from seisbench.models import PhaseNet

from trainables.edge.network import load_onnx, models_in, with_options
from trainables.export.onnx import add_metadata
from trainables.export.picker_folder import check_picker_folder, write_picker_folder, write_program

WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "seisbench", "seisweep", "search_spaces", "onnx", "pandas"):
    sys.modules[name] = None  # an import of it fails
del sys.argv[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    places = {module.__file__ for name, module in sys.modules.items() if name.startswith("trainables")}
    assert all(place.startswith(sys.argv[0]) for place in places), places
"""


def test_the_folder_holds_its_files_and_picks_without_torch_and_seisweep(files, shared_data, tmp_path):
    folder = tmp_path / "picker"
    write_picker_folder(folder, files.int8, {"name": "test"}, {"P": 0.4})
    assert {file.name for file in folder.iterdir()} == {"int8.onnx", "model.json", "pick.pyz", "README.md"}
    described = json.loads((folder / "model.json").read_text())
    assert described["thresholds"] == {"P": 0.4, "S": 0.25}
    assert described["card"] == {"name": "test"}
    moved = shutil.move(folder, tmp_path / "device")
    file = write(stream(200), tmp_path / "a.mseed")
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, f"{moved}/pick.pyz", str(file), "--s-threshold", "0.2"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert found.returncode == 0, found.stderr
    network = with_options(load_onnx(Path(moved, "int8.onnx")), s_threshold=0.2)
    assert network.thresholds == {"P": 0.4, "S": 0.2}
    assert len(found.stdout.splitlines()) == 1 + len(picks_in(network, file))


def test_the_program_takes_formats_times_stations_and_archives(files, tmp_path):
    folder = tmp_path / "picker"
    write_picker_folder(folder, files.fp32, {})
    here = tmp_path / "sds/2024/XX/ABC/HHZ.D"
    here.mkdir(parents=True)
    write(stream(200), here / "XX.ABC..HHZ.D.2024.060")
    write(stream(200, station="DEF"), here / "XX.DEF..HHZ.D.2024.090")

    def pick(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_TORCH, f"{folder}/pick.pyz", "--s-threshold", "0.01", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    found = pick("sds", "--start", "2024-02-29T23:51", "--end", "2024-03-01", "--stations", "ABC", "--format", "pyocto")
    assert found.returncode == 0, found.stderr
    assert "XX.ABC..HH: 2.3 min" in found.stderr
    rows = found.stdout.splitlines()
    assert rows[0] == "station,phase,time,probability"
    assert {row.split(",")[0] for row in rows[1:]} == {"XX.ABC."}
    assert pick("sds", "--format", "quakeml", "--stations", "ABC").stdout.startswith("<?xml")
    for words, part in (
        ("sds --start never", "pick: --start never: not a time"),
        ("fdsn:GFZ?network=CX", "pick: fdsn: works only in `seisweep pick`"),
    ):
        wrong = pick(*words.split())
        assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
        assert part in wrong.stderr


def test_residuals_travel_with_the_folder_and_older_files_have_none(files, tmp_path):
    assert load_onnx(files.fp32).residual_std_s == {}
    write_picker_folder(tmp_path / "older", files.fp32, {})
    assert load_onnx(tmp_path / "older/fp32.onnx").residual_std_s == {}
    told = Path(shutil.copy(files.fp32, tmp_path / "told.onnx"))
    add_metadata(told, {"P_residual_std_s": "0.0625"})
    assert load_onnx(told).residual_std_s == {"P": 0.0625}
    assert load_onnx(told).thresholds == load_onnx(files.fp32).thresholds
    write_picker_folder(tmp_path / "newer", told, {})
    assert json.loads((tmp_path / "newer/model.json").read_text())["residual_std_s"] == {"P": 0.0625}
    assert load_onnx(tmp_path / "newer/told.onnx").residual_std_s == {"P": 0.0625}
    described = json.loads((tmp_path / "newer/model.json").read_text())
    del described["residual_std_s"]  # as an earlier version wrote it
    (tmp_path / "newer/model.json").write_text(json.dumps(described))
    assert load_onnx(tmp_path / "newer/told.onnx").residual_std_s == {}


def test_with_weights_for_seisbench_the_folder_has_its_class_and_the_lines_that_load_it(files, tmp_path):
    files.model.save(tmp_path / "xiaonet", version_str="1")
    folder = tmp_path / "picker"
    write_picker_folder(folder, files.int8, {}, others=[files.fp32], pair=tmp_path / "xiaonet", text="# The card\n")
    its = {"int8.onnx", "fp32.onnx", "model.json", "pick.pyz", "README.md"}
    assert {file.name for file in folder.iterdir()} == its | {"xiaonet.py", "xiaonet.json.v1", "xiaonet.pt.v1"}
    readme = (folder / "README.md").read_text()
    assert readme.index("# The card") < readme.index("from xiaonet import XiaoNet")
    assert "It takes `int8.onnx` (`--model fp32.onnx` takes the other one)" in readme
    assert [file.name for file in models_in(folder)] == ["int8.onnx", "fp32.onnx"]
    check_picker_folder(folder)
    (folder / "fp32.onnx").unlink()
    with pytest.raises(ValueError, match=r"picker is incomplete: fp32\.onnx missing$"):
        check_picker_folder(folder)
    with pytest.raises(ValueError, match=r"is not a picker folder: model\.json is missing$"):
        check_picker_folder(tmp_path)
    write_picker_folder(folder, files.fp32, {})
    assert {file.name for file in folder.iterdir()} == {"fp32.onnx", "model.json", "pick.pyz", "README.md"}
    assert "SeisBench cannot load this network" in (folder / "README.md").read_text()


def test_a_network_of_seisbench_needs_no_class(files, tmp_path):
    PhaseNet(phases="PSN", component_order="ENZ", sampling_rate=100).save(tmp_path / "phasenet", version_str="1")
    write_picker_folder(tmp_path / "picker", files.fp32, {}, pair=tmp_path / "phasenet")
    assert not (tmp_path / "picker" / "xiaonet.py").exists()
    assert "from seisbench.models import PhaseNet\n" in (tmp_path / "picker" / "README.md").read_text()


def test_a_folder_with_something_else_in_it_is_left_alone(files, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="is not a picker folder"):
        write_picker_folder(tmp_path, files.fp32, {})
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_older_folder_still_picks_and_is_replaced(files, tmp_path):
    """Its program was one file, `pick.py`."""
    folder = tmp_path / "picker"
    write_picker_folder(folder, files.int8, {})
    (folder / "pick.pyz").unlink()
    (folder / "pick.py").write_text("print('as it always did')")
    assert load_onnx(folder / "int8.onnx").thresholds == {"P": 0.3, "S": 0.25}
    write_picker_folder(folder, files.fp32, {"name": "newer"})
    assert {file.name for file in folder.iterdir()} == {"fp32.onnx", "model.json", "pick.pyz", "README.md"}


def test_the_program_holds_the_edge_package_alone_and_the_same_bytes_each_time(tmp_path):
    for name in ("a.pyz", "b.pyz"):
        write_program(tmp_path / name)
    assert (tmp_path / "a.pyz").read_bytes() == (tmp_path / "b.pyz").read_bytes()
    names = {name for name in zipfile.ZipFile(tmp_path / "a.pyz").namelist() if not name.endswith("/")}
    assert {Path(name).parts[:2] for name in names} == {
        ("__main__.py",),
        ("trainables", "__init__.py"),
        ("trainables", "edge"),
    }
    assert zipfile.ZipFile(tmp_path / "a.pyz").read("trainables/__init__.py") == b""
    assert (tmp_path / "a.pyz").stat().st_size < 48_000
