"""Runs a command once Ray's autoscaler has made the nodes that it needs: a sweep asks only nodes that are there.

python with_nodes.py --nodes 4 --cpus 4 --gpus 1 -- seisweep run ...     on the head of a cluster that scales from zero

The nodes stay as long as the command runs, and may go when it has ended. The exit code is the command's; 2 where the
nodes do not come in time.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

LOOK_EVERY_S = 2.0


def main(words: Sequence[str]) -> int:
    options = read(words)
    bundle = {"CPU": options.cpus} | ({"GPU": options.gpus} if options.gpus else {})
    import ray
    from ray.autoscaler.sdk import request_resources

    ray.init("auto", log_to_driver=False)
    try:
        request_resources(bundles=[bundle] * options.nodes)
        deadline_s = time.monotonic() + options.wait_s
        while (there := fitting([node["Resources"] for node in ray.nodes() if node["Alive"]], bundle)) < options.nodes:
            if time.monotonic() > deadline_s:
                wanted = ", ".join(f"{number:g} {what}" for what, number in bundle.items())
                print(
                    f"with_nodes: {there} of {options.nodes} nodes with {wanted} are there after {options.wait_s:g} s: "
                    "look what keeps their pods (kubectl get pods, kubectl describe), ask for fewer, or give --wait-s",
                    file=sys.stderr,
                )
                return 2
            time.sleep(LOOK_EVERY_S)
        return run(options.command)
    finally:
        request_resources(bundles=[])
        ray.shutdown()


def read(words: Sequence[str]) -> argparse.Namespace:
    plain = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="with_nodes", description=__doc__, formatter_class=plain)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--cpus", type=int, default=1, help="of each node")
    parser.add_argument("--gpus", type=int, default=0, help="of each node")
    parser.add_argument("--wait-s", type=float, default=1800)
    parser.add_argument("command", nargs="+", help="behind --")
    return parser.parse_args(words)


def fitting(nodes: Sequence[Mapping[str, float]], bundle: Mapping[str, float]) -> int:
    """How many of the nodes have all of a bundle."""
    return sum(all(node.get(what, 0) >= number for what, number in bundle.items()) for node in nodes)


def run(command: Sequence[str]) -> int:
    """Its exit code. It gets the signals that this process gets: a sweep ends cleanly by them."""
    begun: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _: object) -> None:
        if begun:
            begun[0].send_signal(number)
        else:
            early.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):  # before there is a command: none gets past it
        signal.signal(number, pass_on)
    begun.append(subprocess.Popen(command))
    for number in early:
        begun[0].send_signal(number)
    code = begun[0].wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
