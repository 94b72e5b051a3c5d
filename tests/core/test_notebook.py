"""The notebook computes the app's numbers again, and knows nothing of this project."""

from __future__ import annotations

import ast
import json

import pandas as pd
import pytest
import torch

from core.__main__ import main
from core.export.notebook import Source, sources
from core.models.pairs import PairSpec

ALLOWED = {"json", "importlib", "math", "pathlib", "torch", "safetensors", "transformer_lens", "transformers"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the command's tables, the notebook's cells of code)"""
    folder = tmp_path_factory.mktemp("made")
    given = ["--sentence", "The quick fox jumps over the dog.", "--original", "quick", "--answer", "swift"]
    files = ["--json", str(folder / "out.json"), "--notebook", str(folder / "again.ipynb")]
    assert main(["analyze", *given, "--sweeps", "z", *files]) == 0
    notebook = json.loads((folder / "again.ipynb").read_text())
    assert notebook["nbformat"] == 4 and len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return json.loads((folder / "out.json").read_text()), code


def test_run_on_its_own_it_comes_to_the_numbers_of_the_tables(made):
    tables, code = made
    names: dict = {}
    # It turns gradients off for good, as a notebook may; the tests after it need them.
    with torch.enable_grad():
        for cell in code:
            exec(compile(cell, "notebook", "exec"), names)
    patches = pd.DataFrame(tables["patching"]).set_index(["layer", "head"])["score"]
    best = patches.sort_values(ascending=False).index[0]
    weights = pd.DataFrame(tables["attention"]).query("role == 'original'").set_index(["model", "layer", "head"])
    heads = pd.DataFrame(tables["attribution"]).query("component == 'head'").set_index(["model", "layer", "head"])
    place = "L{}H{}".format(*best)
    differences = {row["model"]: row["logit_diff"] for row in tables["summary"]}
    expected = {f"patch score {place}": patches[best]}
    expected |= {f"logit difference {model.upper()}": value for model, value in differences.items()}
    for model in differences:
        expected[f"A(original→END) {place} {model.upper()}"] = weights["value"][(model, *best)]
    direct = {name for name in names["found"] if name.startswith("DLA ")}
    for name in direct:
        layer, head = map(int, name.split()[1].removeprefix("L").split("H"))
        expected[name] = heads["value"][(name.split()[2].lower(), layer, head)]
    assert len(direct) == 8 and len([name for name in names["found"] if name.startswith("patch score")]) == 4
    for name, value in expected.items():
        assert names["found"][name] == pytest.approx(value, abs=1e-4), name


def test_it_imports_nothing_of_this_project(made):
    nodes = [node for cell in made[1] for node in ast.walk(ast.parse(cell))]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in found} <= ALLOWED


def test_folders_of_this_machine_stay_out_of_a_notebook_that_leaves_the_app():
    spec = PairSpec("own", "own", "/home/somebody/models/base", "account/tuned", instruct_revision="abc")
    assert sources(spec) == (Source("base", "main"), Source("account/tuned", "abc"))
    assert sources(spec, private=False)[0].name == "/home/somebody/models/base"
