"""README.md of a picker folder: what each file is for, and the lines that use it. Also its page on a model hub."""

from __future__ import annotations

import json
from pathlib import Path

from trainables.models.architectures import SEISBENCH, XIAONET, XIAONETV5B, kind_of
from trainables.models.v5b import XiaoNetV5B
from trainables.models.weights import files_of_pair, find_pair
from trainables.models.xiaonet import XiaoNet

README_FILE = "README.md"
OWN_CLASSES = {XIAONET: XiaoNet, XIAONETV5B: XiaoNetV5B}
"""Networks that SeisBench does not have: a folder brings their class, as KIND.py."""

_ABOUT_PAGE = "---\nlibrary_name: seisbench\ntags: [seismology, phase-picking]\n---\n"


def readme(folder: Path, model: str, pair: Path | None, text: str) -> str:
    """Of the files that lie in `folder` already. `model`: the ONNX file that picks; `pair`: the stem of the weights for
    SeisBench; `text`: the model card, or nothing."""
    title = "" if text else "# A phase picker\n"
    return "\n".join([_ABOUT_PAGE, title, text, _with_seisbench(folder, pair), _on_a_device(folder, model)])


def _with_seisbench(folder: Path, pair: Path | None) -> str:
    if pair is None:
        return "## With SeisBench\n\nSeisBench cannot load this network: the folder has only ONNX files.\n"
    found = find_pair(str(pair))
    assert found is not None
    stem, version = found
    kind = kind_of(str(pair))
    is_own = kind in OWN_CLASSES
    name = (OWN_CLASSES if is_own else SEISBENCH)[kind].__name__
    module = kind if is_own else "seisbench.models"
    described, weights = (file.name for file in files_of_pair(str(pair)))
    needed = json.loads((folder / described).read_text(encoding="utf-8")).get("seisbench_requirement", "")
    its_class = f"`{kind}.py` is its class, " if is_own else ""
    first = "write `import sys; sys.path.insert(0, FOLDER)` first, and " if is_own else ""
    elsewhere = f"From elsewhere {first}load `FOLDER/{stem.name}`, where FOLDER is this one's path.\n"
    version_said = f', version_str="{version}"' if version else ""
    return f"""## With SeisBench

{its_class}`{described}` and `{weights}` are its weights. Python with SeisBench ({needed} or newer), in this folder:

```python
import obspy
from {module} import {name}

model = {name}.load("{stem.name}"{version_said}, weights_only=True)
picks = model.classify(obspy.read("day.mseed")).picks
```

{elsewhere}Thresholds are those chosen on its dev records; `classify(stream, P_threshold=0.5)` takes others.
"""


def _on_a_device(folder: Path, model: str) -> str:
    others = sorted(file.name for file in folder.glob("*.onnx") if file.name != model)
    also = f" (`--model {others[0]}` takes the other one)" if others else ""
    return f"""## On an edge device, without torch and SeisBench

`pick.pyz` runs on onnxruntime, numpy and obspy. It takes `{model}`{also}, and `model.json` describes it.

```
python pick.pyz day.mseed --output picks.csv
python pick.pyz bench
```

`bench` measures speed and memory of the models on the device that it runs on.
"""
