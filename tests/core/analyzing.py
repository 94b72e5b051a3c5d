"""`python -m core analyze` as a user calls it."""

from core.__main__ import main

GIVEN = ["--sentence", "The quick fox jumps over the dog.", "--original", "quick"]


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main(["analyze", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err
