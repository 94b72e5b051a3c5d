"""What a downloaded table is of stands in its columns and in its file's name."""

import pandas as pd

from core.labelling import file_name, labelled

OF = {"pair": "tiny", "prompt": "Rephrase: The quick fox.\n\nRephrased sentence: The", "answer": " swift"}


def test_labels_stand_behind_the_tables_own_columns_which_keep_their_meaning():
    table = pd.DataFrame({"site": ["v", "v"], "head": [0, 1]})
    found = labelled(table, {**OF, "site": "z"})
    assert list(found) == ["site", "head", "pair", "prompt", "answer"]
    assert list(found["site"]) == ["v", "v"] and set(found["prompt"]) == {OF["prompt"]}
    assert list(table) == ["site", "head"]


def test_a_files_name_says_pair_prompt_answer_site_and_head():
    name = file_name("patching", {**OF, "site": "z", "layer": 2, "head": 6}, "The quick fox.", ".csv")
    assert name.startswith("patching_tiny_The-quick-fox-") and name.endswith("_swift_z_L2H6.csv")


def test_prompts_that_read_alike_have_files_of_their_own():
    other = {**OF, "prompt": OF["prompt"].replace("Rephrase", "Repeat")}
    assert file_name("summary", OF, "The quick fox.") != file_name("summary", other, "The quick fox.")


def test_what_a_table_is_not_of_its_name_leaves_out():
    assert file_name("head_scores", {"pair": "tiny"}, "The quick fox.", ".csv") == "head_scores_tiny.csv"


def test_a_name_is_one_that_every_file_system_takes():
    odd = {"pair": "../a\\b → C:\\d", "prompt": "x" * 500, "answer": " “a/b”?"}
    name = file_name("top", odd, "/etc/passwd\n" + "ü" * 300)
    assert len(name.encode()) < 255 and not set(name) & set('/\\:*?"<>|\n .“')
