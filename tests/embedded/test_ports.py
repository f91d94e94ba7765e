"""Choosing ports, with real sockets."""

import socket
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

from sofia_streams.embedded.ports import HOST, pick_ports

ROOT = Path(__file__).resolve().parents[2]


def test_a_free_preferred_port_is_taken() -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    assert pick_ports([port]) == [port]


def test_a_taken_preferred_port_gives_another() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        [chosen] = pick_ports([port])
        assert chosen != port
        with socket.socket() as sock:
            sock.bind((HOST, chosen))


def test_a_port_taken_on_all_addresses_counts_as_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        assert pick_ports([taken.getsockname()[1]]) != [taken.getsockname()[1]]


def test_ports_differ_even_when_the_same_one_is_preferred_twice() -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    assert len(set(pick_ports([port, port, 0, 0, 0]))) == 5


def test_a_port_that_another_process_has_just_chosen_is_left_to_it_while_it_runs() -> None:
    """Its server does not listen yet; without this, two `sofia up` of one second choose the same."""
    code = (
        "import sys; from sofia_streams.embedded.ports import pick_ports; print(*pick_ports([0]), flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)
    try:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        assert pick_ports([port]) != [port]
    finally:
        other.communicate("\n")
    assert pick_ports([port, port])[0] == port
    assert pick_ports([port]) == [port], "it is our own now"
