"""The machines that the tests of this folder run on are machines: apart, and gone when they are gone."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.processes import Process, descendants, outlasting

from cluster.commands import HOME, wait_until
from cluster.machines import SHARED, Lab, why_not

pytestmark = [pytest.mark.integration, pytest.mark.skipif(bool(why_not()), reason=f"no machines: {why_not()}")]
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab") / "disks") as made:
        yield made


def test_each_has_its_own_name_folders_and_processes_and_nodes_share_one(lab: Lab) -> None:
    assert lab.w1.run("hostname").stdout == "w1\n"
    lab.head.run("touch", "/tmp/own", f"{HOME}/own", "/dev/shm/own", f"{SHARED}/common")
    assert lab.w1.run("ls", "/tmp/own", f"{HOME}/own", "/dev/shm/own").code == 2
    assert lab.w2.run("ls", f"{SHARED}/common").code == 0
    assert lab.laptop.run("ls", f"{SHARED}/common").code == 2
    assert lab.head.path("/tmp/own").exists()
    assert lab.head.path(f"{SHARED}/common") == lab.w2.path(f"{SHARED}/common")
    assert len(lab.w1.run("sh", "-c", "echo /proc/[0-9]*").stdout.split()) <= 4


def test_a_cable_that_is_unplugged_carries_nothing_until_it_is_plugged(lab: Lab) -> None:
    assert answers(lab)
    lab.w1.unplug()
    assert not answers(lab)
    lab.w1.plug()
    wait_until(lambda: answers(lab), 10, "w1 does not answer again")


def test_power_off_kills_all_processes_and_keeps_the_disk(lab: Lab) -> None:
    daemon = lab.w2.start("sh", "-c", "setsid sleep 1000 & echo $! > /home/user/kept; touch /dev/shm/lost; wait")
    wait_until(lambda: sleeps(lab.w2.processes()) and lab.w2.path("/home/user/kept").exists(), 20, "no daemon")
    family = lab.w2.processes()
    lab.w2.power_off()
    assert not any(process.alive for process in family)
    assert daemon.wait(10) == -signal.SIGKILL
    lab.w2.power_on()
    assert lab.w2.run("ls", "/home/user/kept").code == 0
    assert lab.w2.run("ls", "/dev/shm/lost").code == 2
    assert answers(lab, "w2")


def test_a_hidden_folder_is_empty_there_and_nowhere_else(lab: Lab) -> None:
    lab.w1.hide(TESTS / "cluster")
    assert lab.w1.run("ls", TESTS / "cluster").stdout == ""
    assert "machines.py" in lab.head.run("ls", TESTS / "cluster").stdout
    lab.w1.show(TESTS / "cluster")
    assert "machines.py" in lab.w1.run("ls", TESTS / "cluster").stdout


def test_this_process_sees_a_machines_network_while_it_is_there(lab: Lab) -> None:
    import socket

    with lab.laptop.network(), socket.create_server((lab.laptop.address, 0)):
        pass
    with pytest.raises(OSError, match="assign"):
        socket.create_server((lab.laptop.address, 0))


def test_nothing_is_left_of_a_lab_whose_owner_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cluster.machines import Lab\n"
        "lab = Lab(Path(sys.argv[1])); lab.w1.start('sleep', '1000'); print('made', flush=True); time.sleep(1000)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "disks")], cwd=TESTS, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout
    assert owner.stdout.readline() == "made\n"
    wait_until(lambda: sleeps(descendants(owner.pid)), 20, "nothing runs there")
    family = descendants(owner.pid)
    owner.kill()
    owner.communicate()
    assert outlasting(family, limit_s=20) == []


def sleeps(family: set[Process]) -> bool:
    return any(process.title == "sleep 1000" for process in family)


def answers(lab: Lab, name: str = "w1") -> bool:
    """Whether a machine answers the head, within a second."""
    there = f"import socket; socket.create_connection(('{name}', 1), 1)"
    said = lab.head.run("python", "-S", "-c", there).stderr
    return "refused" in said  # by the machine itself: nothing listens there
