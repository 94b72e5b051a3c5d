"""`python -m core analyze` as a user calls it: what it writes."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from core.__main__ import main
from core.models.pairs import registry
from tests.chat_templates import write_pair, write_silent_pair
from tests.core.analyzing import GIVEN, run

ROOT = Path(__file__).parents[2]
TINY = registry()["tiny"]
SWEPT = ("z", "v", "mlp_out", "w_head", "w_k", "w_embed")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("written")
    targets = ["--json", str(folder / "out.json"), "--csv", str(folder / "tables")]
    assert main(["analyze", *GIVEN, "--sweeps", ",".join(SWEPT), *targets]) == 0
    return json.loads((folder / "out.json").read_text()), folder


def test_the_tables_hold_the_columns_that_others_rely_on(written):
    result, _ = written
    columns = {
        "summary": "model logit_answer logit_original logit_diff prob_answer prob_original rank_answer rank_original",
        "attribution": "model component layer head value",
        "attention": "model role layer head value",
        "patching": "direction site layer head logit_diff effect score noise_floor "
        "dlogp_answer dlogp_original rank_answer rank_original kl_recipient kl_donor",
        "checks": "name residual",
    }
    for table, names in columns.items():
        assert list(result[table][0]) == names.split()
    assert {row["component"] for row in result["attribution"]} == {"embed", "attn", "mlp", "head", "bias"}
    assert result["experiment"]["original"] == "quick"
    assert {"load", "record", *SWEPT} == set(result["manifest"]["seconds"])


def test_the_sweeps_cover_every_head_group_and_layer_once(written):
    frame = pd.DataFrame(written[0]["patching"])
    config = json.loads((Path(TINY.base) / "config.json").read_text())
    layers, heads, groups = (config[f"num_{n}"] for n in ("hidden_layers", "attention_heads", "key_value_heads"))
    of_heads, of_groups = dict.fromkeys(("z", "w_head"), layers * heads), dict.fromkeys(("v", "w_k"), layers * groups)
    assert frame.groupby("site").size().to_dict() == {**of_heads, **of_groups, "mlp_out": layers, "w_embed": 1}
    assert not frame.duplicated(["site", "layer", "head"]).any()
    assert frame[frame["site"] == "w_embed"]["layer"].isna().all()
    assert frame[frame["site"] == "mlp_out"]["head"].isna().all()


def test_attention_weights_are_shares_and_name_the_posts_roles(written):
    frame = pd.DataFrame(written[0]["attention"])
    assert {"original", "colon"} <= set(frame["role"])
    assert frame["value"].between(0, 1).all()


def test_the_mirror_direction_one_position_and_frozen_patterns_are_other_experiments(capsys, tmp_path):
    written = []
    for n, options in enumerate(
        ([], ["--direction", "base_to_instruct"], ["--positions", "end"], ["--positions", "3"], ["--frozen-patterns"])
    ):
        status, _, _ = run(capsys, *GIVEN, "--sweeps", "z", *options, "--json", tmp_path / f"{n}.json")
        assert status == 0
        result = json.loads((tmp_path / f"{n}.json").read_text())
        assert result["manifest"]["patching"]["frozen_patterns"] == ("--frozen-patterns" in options)
        written.append([row["effect"] for row in result["patching"]])
    assert all(a != b for n, a in enumerate(written) for b in written[:n])


def test_the_written_components_sum_to_the_written_logit_difference(written):
    result, _ = written
    frame = pd.DataFrame(result["attribution"])
    for row in result["summary"]:
        mine = frame[frame["model"] == row["model"]]
        parts = mine[mine["component"].isin(["embed", "mlp", "head", "bias"])]["value"].sum()
        assert math.isclose(parts, row["logit_diff"], abs_tol=1e-4)


def test_the_checks_hold_the_noise_floor_of_every_site_and_third_beside_the_no_op(written):
    checks = {row["name"]: row["residual"] for row in written[0]["checks"]}
    for site in ("z", "v", "mlp_out"):
        assert checks[f"{site}: effect of the no-op patch"] is not None
        for layers in ("layers 0–1", "layer 2", "layer 3"):
            assert 0 < checks[f"{site}: noise floor, {layers}"] < 1e-4
    cells = pd.DataFrame(written[0]["patching"])
    of_z = cells[(cells.site == "z") & (cells.layer == 2)]
    assert set(of_z.noise_floor) == {checks["z: noise floor, layer 2"]}


def test_the_manifest_says_what_ran(written):
    manifest = written[0]["manifest"]
    assert len(manifest["base"]["weights_sha256"]) == 64
    assert set(manifest["libraries"]) == {"torch", "transformers", "transformer_lens"}
    assert manifest["tokens"][manifest["roles"]["original"]["position"]] == " quick"
    assert manifest["roles"]["end"]["position"] == len(manifest["token_ids"]) - 1
    assert manifest["answer"]["id"] != manifest["original"]["id"]


def test_the_csv_files_hold_the_same_tables(written):
    result, folder = written
    frame = pd.read_csv(folder / "tables" / "summary.csv")
    assert frame["logit_diff"].tolist() == pytest.approx([row["logit_diff"] for row in result["summary"]])


def test_float64_holds_the_identities_to_rounding(capsys, tmp_path):
    status, _, _ = run(capsys, *GIVEN, "--dtype", "float64", "--json", tmp_path / "o.json")
    assert status == 0
    checks = json.loads((tmp_path / "o.json").read_text())["checks"]
    # Attention weights are a float32 softmax in transformers whatever the dtype, so only these reach float64.
    exact = [check["residual"] for check in checks if check["name"].endswith(("= logit_diff", "= attn_out"))]
    assert len(exact) == 4 and max(exact) <= 1e-10


def test_a_dtype_below_the_stored_one_is_named_with_what_it_does_to_the_gap(capsys, tmp_path, written):
    status, out, _ = run(capsys, *GIVEN, "--dtype", "bfloat16", "--json", tmp_path / "o.json")
    assert status == 0 and "bfloat16 is below the stored float16: gap +" in out and "in float32" in out
    result = json.loads((tmp_path / "o.json").read_text())
    assert (result["manifest"]["dtype"], result["manifest"]["stored_dtype"]) == ("bfloat16", "float16")
    (difference,) = [c["residual"] for c in result["checks"] if c["name"] == "gap in float32 − gap in bfloat16"]
    gaps = [rows[1]["logit_diff"] - rows[0]["logit_diff"] for rows in (written[0]["summary"], result["summary"])]
    assert difference == pytest.approx(gaps[0] - gaps[1], abs=1e-4) and difference != 0
    # In a dtype that holds the weights there is nothing to say.
    assert not [c for c in written[0]["checks"] if c["name"].startswith("gap in")]


def test_a_gap_that_cannot_be_checked_for_lack_of_memory_is_said_to_be(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("REPHRASE_MEMORY_GB", "0.31")
    status, out, _ = run(capsys, *GIVEN, "--dtype", "bfloat16", "--json", tmp_path / "o.json")
    assert status == 0 and "cannot be checked in float32" in out and "left of REPHRASE_MEMORY_GB" in out
    assert not [c for c in json.loads((tmp_path / "o.json").read_text())["checks"] if c["name"].startswith("gap in")]


def test_a_free_prompt_takes_exact_strings(capsys, tmp_path):
    arguments = ["--prompt", "The quick fox. The", "--original", " quick", "--answer", " fast"]
    status, _, _ = run(capsys, *arguments, "--json", tmp_path / "o.json")
    result = json.loads((tmp_path / "o.json").read_text())
    assert status == 0 and result["manifest"]["answer"]["token"] == " fast"
    assert result["manifest"]["roles"]["colon"] is None


def test_a_chat_template_is_part_of_the_experiment_and_its_text_of_the_manifest(capsys, tmp_path):
    (tmp_path / "chat").mkdir()
    write_pair(tmp_path / "chat")
    models = [part for name in ("base", "instruct") for part in (f"--{name}", tmp_path / "chat" / name)]
    written = {}
    for template in ("raw", "chat"):
        target = tmp_path / f"{template}.json"
        assert run(capsys, *GIVEN, *models, "--template", template, "--sweeps", "v", "--json", target)[0] == 0
        written[template] = json.loads(target.read_text())
    chat, raw = written["chat"], written["raw"]
    assert (chat["experiment"]["template"], raw["experiment"]["template"]) == ("chat", "raw")
    assert chat["manifest"]["prompt"].endswith("<|end_of_text|>\n<|begin_of_text|>Rephrased sentence: The")
    for role in ("original", "colon", "end"):
        at = [found["manifest"]["tokens"][found["manifest"]["roles"][role]["position"]] for found in (chat, raw)]
        assert at[0] == at[1]
    assert chat["summary"] != raw["summary"] and len(chat["patching"]) == len(raw["patching"])


def test_without_bos_position_0_is_first_and_bos_is_null(capsys, tmp_path):
    write_silent_pair(tmp_path)
    models = [part for name in ("base", "instruct") for part in (f"--{name}", tmp_path / name)]
    assert run(capsys, *GIVEN, *models, "--json", tmp_path / "o.json")[0] == 0
    result = json.loads((tmp_path / "o.json").read_text())
    assert result["manifest"]["roles"]["bos"] is None
    assert result["manifest"]["roles"]["first"] == {"position": 0, "context": "[Rephrase] all the"}
    assert {row["role"] for row in result["attention"]} == {"original", "colon", "colon_2", "first", "end"}


def test_links_are_followed_pipes_written_to_and_an_earlier_runs_tables_replaced(capsys, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    tables = tmp_path / "tables"
    assert run(capsys, *GIVEN, "--sweeps", "v", "--json", tmp_path / "link.json", "--csv", tables)[0] == 0
    assert (tmp_path / "link.json").is_symlink() and json.loads((tmp_path / "target.json").read_text())["patching"]
    (tables / "notes.csv").write_text("mine")
    assert run(capsys, *GIVEN, "--json", "/dev/null", "--csv", tables)[0] == 0
    assert Path("/dev/null").is_char_device()
    assert {path.stem for path in tables.iterdir()} == {"summary", "attribution", "attention", "checks", "notes"}


def test_hostile_and_foreign_text_is_only_text(capsys, tmp_path):
    sentence = "The <img src=x onerror=alert(1)> quick </script> שלום 😀 fox"
    status, _, _ = run(capsys, "--sentence", sentence, "--original", "quick", "--json", tmp_path / "o.json")
    assert status == 0
    assert sentence in json.loads((tmp_path / "o.json").read_text())["manifest"]["prompt"]


def test_as_a_process_nothing_but_the_one_line_reaches_stderr(tmp_path):
    command = [sys.executable, "-m", "core", "analyze", *GIVEN, "--json", str(tmp_path / "o.json")]
    good = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert good.returncode == 0 and good.stderr == ""
    assert good.stdout.startswith("logit difference")
    bad = subprocess.run([*command, "--answer", "swift-footed"], cwd=ROOT, capture_output=True, text=True)
    assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1
