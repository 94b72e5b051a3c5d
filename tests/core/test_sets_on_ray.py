"""A set on a Ray cluster: the numbers of one process, whatever becomes of the actors."""

from __future__ import annotations

import socket
import subprocess
import sys

import numpy as np
import pytest

from core.__main__ import main
from core.experiment import Experiment, InputError
from core.models.loading import load_pair
from core.models.pairs import registry
from core.patching.plan import DIRECTIONS
from core.sets import on_ray
from core.sets.fields import Plan, common_roles
from core.sets.kept import InMemory
from core.sets.on_ray import Fleet, fleet
from core.sets.parts import parts_of
from core.sets.ray_actor import Loading
from core.sets.reading import read_file, shipped_file
from core.sets.running import run_set
from core.sets.usable import usable
from core.settings import DEFAULT_CACHE

HOW = Loading(registry()["tiny"], "", "cpu", None, DEFAULT_CACHE, None)


def test_two_actors_of_which_one_dies_give_the_numbers_of_one_process_to_the_bit(monkeypatch):
    entries = read_file(shipped_file("tiny"))
    made, make = [], Fleet._actor
    monkeypatch.setattr(Fleet, "_actor", lambda self: made.append(make(self)) or made[-1])
    on_cluster, here, pair = InMemory(), InMemory(), load_pair(registry()["tiny"])
    with fleet("local", HOW) as found:
        there = found.usable(entries, Experiment(), 512)
        assert there == usable(entries, pair, Experiment()) and found.manifest == pair.manifest
        used = there.used[::12]
        plan = Plan(("z",), DIRECTIONS[0], "all", common_roles(used))

        def kill(so_far) -> None:
            """The one that has just brought its first prompts, and is at its next part."""
            if so_far.done and found._first in found._alive:
                found._end(found._first)

        found.run_set(used, plan, on_cluster, kill)
    run_set(used, pair, plan, here)
    assert len(made) == 1 + min(found.most, len(parts_of(used, InMemory()))), "the dead one is replaced"
    assert here._found.keys() == on_cluster._found.keys() == {row.key for row in used}
    for key, values in here._found.items():
        assert values.keys() == on_cluster._found[key].keys()
        assert all(np.array_equal(array, on_cluster._found[key][name]) for name, array in values.items())


@pytest.mark.parametrize("case", ["not installed", "no answer", "no address", "another service"])
def test_a_cluster_that_cannot_be_had_is_said_in_one_line(case, tmp_path, capsys, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    expected = f"nothing answers at '{address}'"
    if case == "not installed":
        monkeypatch.setitem(sys.modules, "ray", None)
        expected = "pip install -r requirements-ray.txt"
    elif case == "no address":
        address, expected = "somewhere", "give local, auto or HOST:PORT"
    elif case == "another service":
        monkeypatch.setattr(on_ray, "_check_reachable", lambda address: None)
        address, expected = "127.0.0.1:x", "no Ray cluster can be joined at"
    assert main(["prompts", "--pair", "tiny", "--out", str(tmp_path / "out"), "--ray", address]) == 2
    err = capsys.readouterr().err
    assert expected in err and len(err.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_without_the_flag_ray_is_not_imported(tmp_path):
    text = "import sys\nfrom core.__main__ import main\nmain({!r})\nsys.exit('ray' in sys.modules)"
    lines = shipped_file("tiny").read_text(encoding="utf-8").splitlines()
    (tmp_path / "set.csv").write_text("\n".join(lines[:3]))
    arguments = ["prompts", "--set", str(tmp_path / "set.csv"), "--pair", "tiny", "--out", str(tmp_path / "out")]
    assert subprocess.run([sys.executable, "-c", text.format(arguments)], capture_output=True).returncode == 0


def test_a_machine_unlike_the_first_is_refused():
    found = Fleet(None, HOW)
    found.manifest = {"dtype": "float32", "libraries": {"torch": "2"}}
    found._check_alike(dict(found.manifest))
    with pytest.raises(InputError, match="differ in libraries"):
        found._check_alike({**found.manifest, "libraries": {"torch": "3"}})
