"""Machines, on this one: each has its own network, processes, host name, /tmp, /home and /dev/shm.

They are namespaces of Linux, held by one process each, and nothing of them has a name or a place outside: when that
process ends, so do all others of the machine, and its network. It ends with whoever made it, also where that one is
killed, so that no lab is ever left behind, and any number of them may be there at a time.

    with Lab(folder) as lab:
        lab.head.run("hostname").stdout        # "head\\n"
        sweep = lab.head.start("seisweep", "run", ..., env={...})
        lab.w1.unplug(); lab.w1.plug()         # its network cable
        lab.w1.power_off(); lab.w1.power_on()  # every process is gone at once, the disk stays
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chaos.processes import Process, descendants

from cluster.commands import HOME, REPOSITORY, Command, environment

ADDRESSES = {
    "head": "10.88.0.1",
    "w1": "10.88.0.2",
    "w2": "10.88.0.3",
    "laptop": "10.88.0.9",
    "services": "10.88.0.20",
}
SHARE = ("head", "w1", "w2")
"""Machines that see one folder as /home/shared."""
OWN_FOLDERS = ("/tmp", "/home")
"""What each machine has on a disk of its own."""
IN_MEMORY = ("/dev/shm", "/run")
"""What is empty when it is powered on."""
SHARED = "/home/shared"
CLONE_NEWNET = 0x40000000


class Lab:
    """All machines and the switch between them. `folder` keeps their disks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "shared").mkdir(parents=True)
        self.switch = Holder(["--net"], "ip link add bridge type bridge; ip link set bridge up", folder / "switch.log")
        self.machines = {name: Machine(self, name, address) for name, address in ADDRESSES.items()}
        self.head, self.w1, self.w2 = (self.machines[name] for name in SHARE)
        self.laptop, self.services = self.machines["laptop"], self.machines["services"]

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *ended: Any) -> None:
        for machine in self.machines.values():
            machine.power_off()
        self.switch.end()


class Machine:
    """One of them. It is on when it is made."""

    def __init__(self, lab: Lab, name: str, address: str) -> None:
        self.lab, self.name, self.address = lab, name, address
        self.disk, self.logs = lab.folder / name, lab.folder / f"{name}-logs"
        self.logs.mkdir()
        self.numbers = itertools.count(1)
        self.commands: list[Command] = []
        self.holder: Holder | None = None
        self.disturbed = False
        """Something was cut since it was last set up."""
        self.power_on()

    @property
    def is_on(self) -> bool:
        return self.holder is not None

    def power_on(self) -> None:
        """What it had on its disk is there again; no process is."""
        assert not self.is_on, f"{self.name} is on"
        kinds = ["--net", "--mount", "--uts", "--pid"]
        self.holder = Holder(kinds, self._set_up(), self.logs / "power-on.log")
        switch, here = self.lab.switch, self.holder
        ip(f"link add eth0 netns {here.pid} type veth peer name {self.name} netns {switch.pid}")
        ip(f"link set {self.name} master bridge up", within=switch)
        nobody = "10.88.0.254"  # what is outside cannot be reached
        for line in (f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            ip(line, within=here)
        ip(f"route add default via {nobody}", within=here)

    def power_off(self) -> None:
        """Every process of it is killed at once."""
        self.disturbed = True
        if self.holder:
            self.holder.end()
            with suppress(RuntimeError):  # the kernel takes its cable away by itself, some time
                ip(f"link delete {self.name}", within=self.lab.switch)
        self.holder, self.commands = None, []

    def unplug(self) -> None:
        """Nothing comes through its network cable any more; nobody is told."""
        self.disturbed = True
        ip(f"link set {self.name} down", within=self.lab.switch)

    def plug(self) -> None:
        ip(f"link set {self.name} up", within=self.lab.switch)

    def path(self, path: str | Path) -> Path:
        """Where a file of the machine's /tmp or /home lies on this one."""
        shared = Path(SHARED)
        if self.name in SHARE and Path(path).is_relative_to(shared):
            return self.lab.folder / "shared" / Path(path).relative_to(shared)
        assert any(Path(path).is_relative_to(own) for own in OWN_FOLDERS), f"{path} is not a place of its own"
        return self.disk / str(path).lstrip("/")

    def hide(self, folder: Path | str) -> None:
        """The folder is empty there, as if it had never been installed or copied, until power off or `show`."""
        assert self.holder
        self.holder.run("mount", "-t", "tmpfs", "-o", "ro", "hidden", str(folder))
        self.disturbed = True

    def show(self, folder: Path | str) -> None:
        assert self.holder
        self.holder.run("umount", str(folder))

    def start(self, *command: str | Path, env: Mapping[str, str] | None = None, folder: str = HOME) -> Command:
        """Begin a command there, in a clean environment and `env`."""
        assert self.holder, f"{self.name} is off"
        files = self.logs / f"{next(self.numbers):03}-{Path(command[0]).name}"
        words = [*self.holder.enter, "env", f"--chdir={folder}", *map(str, command)]
        begun = Command(words, environment() | dict(env or {}), files)
        self.commands.append(begun)
        return begun

    def run(
        self, *command: str | Path, env: Mapping[str, str] | None = None, folder: str = HOME, limit_s: float = 300
    ) -> Command:
        """Run a command there to its end; `code`, `stdout` and `stderr` are what came of it."""
        begun = self.start(*command, env=env, folder=folder)
        begun.wait(limit_s)
        return begun

    def processes(self) -> set[Process]:
        """All that run there."""
        if not self.holder:
            return set()
        mine, first = _namespace(self.holder.pid), self.holder.pid
        return {found for found in descendants(os.getpid()) if found.pid != first and _namespace(found.pid) == mine}

    @contextmanager
    def network(self) -> Iterator[None]:
        """While it is open, this thread and those that it starts are in the machine's network (and see the files of
        this machine): a test reads what a user of that machine would, without another process."""
        assert self.holder, f"{self.name} is off"
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
        try:
            _enter_network(there)
            yield
        finally:
            _enter_network(here)
            os.close(here)
            os.close(there)

    def _set_up(self) -> str:
        """Shell lines: mounts and name."""
        (self.disk / "etc").mkdir(parents=True, exist_ok=True)
        (self.disk / "etc" / "hosts").write_text(
            "\n".join(["127.0.0.1 localhost", *(f"{address} {name}" for name, address in ADDRESSES.items()), ""])
        )
        (self.disk / "etc" / "resolv.conf").touch()  # no names but these
        lines = [f"hostname {self.name}"]
        for own in OWN_FOLDERS:
            (self.disk / own[1:]).mkdir(exist_ok=True)
        (self.disk / "tmp").chmod(0o1777)
        (self.disk / HOME[1:]).mkdir(exist_ok=True)
        for folder in dict.fromkeys(map(str, (sys.base_prefix, sys.prefix, REPOSITORY))):  # hidden by its own folders
            target = str(self.disk / folder[1:]) if _is_below(folder, OWN_FOLDERS) else folder
            Path(target).mkdir(parents=True, exist_ok=True)
            lines += [_mount("--bind", folder, target), _mount("-o", "remount,bind,ro", target)]
        if self.name in SHARE:
            (self.disk / SHARED[1:]).mkdir(exist_ok=True)
            lines.append(_mount("--bind", self.lab.folder / "shared", self.disk / SHARED[1:]))
        files = [file for file in ("/etc/hosts", "/etc/resolv.conf") if not Path(file).is_symlink()]
        lines += [_mount("--bind", self.disk / file[1:], file) for file in files]
        last = sorted(OWN_FOLDERS, key=self.disk.is_relative_to)  # the disk cannot be seen after that
        lines += [_mount("--rbind", self.disk / own[1:], own) for own in last]
        lines += [_mount("-t", "tmpfs", "-o", "mode=1777", "memory", place) for place in IN_MEMORY]
        return "; ".join([*lines, _mount("-t", "proc", "proc", "/proc")])


class Holder:
    """The process that holds namespaces, with everything in them, until it ends."""

    def __init__(self, kinds: list[str], set_up: str, log: Path) -> None:
        # It ends when its input does, that is with this process; as the first of its machine it takes all with it.
        script = f"set -e; {set_up}; trap '' CHLD; echo ready; exec cat"
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                ["unshare", *kinds, "--fork", "--kill-child", "sh", "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        assert self.process.stdout
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"no machine: {log.read_text()}")
        (first,) = descendants(self.process.pid)
        self.pid = first.pid
        flags = {"--net": "-n", "--mount": "-m", "--uts": "-u", "--pid": "-p"}
        self.enter = ["nsenter", "-t", str(self.pid), *(flags[kind] for kind in kinds)]

    def run(self, *command: str) -> None:
        """Run a command in the namespaces."""
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{shlex.join(command)}: {done.stderr.strip()}")

    def end(self) -> None:
        """The end of the first process of a machine is that of all others; the kernel waits for them."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.process.communicate()


def ip(line: str, within: Holder | None = None) -> None:
    """A command of iproute2, in namespaces or here."""
    words = ["ip", *line.split()]
    if within:
        within.run(*words)
    else:
        subprocess.run(words, check=True)


def why_not() -> str:
    """What keeps this machine from making others; empty where nothing does. Makes one to see."""
    missing = [tool for tool in ("ip", "unshare", "nsenter", "mount") if not shutil.which(tool)]
    if missing:
        return f"{' and '.join(missing)} not installed (Debian: iproute2, util-linux)"
    parts = ["ip link add bridge type bridge", "ip link add one type veth peer name two", "mount -t proc proc /proc"]
    kinds = ["--net", "--mount", "--uts", "--pid", "--fork"]
    tried = subprocess.run(["unshare", *kinds, "sh", "-ec", "; ".join(parts)], capture_output=True, text=True)
    return f"no machines out of namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def _mount(*words: object) -> str:
    return shlex.join(["mount", *map(str, words)])


def _is_below(folder: str, others: tuple[str, ...]) -> bool:
    return any(Path(folder).is_relative_to(other) for other in others)


def _namespace(pid: int) -> str:
    """Which processes a process sees; empty where it is gone."""
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    return ""


def _enter_network(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
