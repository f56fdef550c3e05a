import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCAN = runpy.run_path(str(ROOT / ".ci" / "scan_tree.py"))
# In pieces, so that this file itself is clean.
LETTERS = "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIjKlMnOp"


def problems(tmp_path, monkeypatch, line):
    file = tmp_path / "file.py"
    file.write_text(f"first\n{line}\n")
    monkeypatch.setitem(SCAN["problems_in"].__globals__, "ROOT", tmp_path)
    return SCAN["problems_in"](file)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"key = 'sk-{LETTERS}'", "an OpenAI or Stability key"),
        (f"key = 'sk-proj-{LETTERS}'", "an OpenAI or Stability key"),
        (f"key = 'r8_{LETTERS}'", "a Replicate token"),
        (f"key = 'figd_{LETTERS}'", "a Figma token"),
        ("AK" + "IAABCDEFGHIJKLMNOP", "an AWS key"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "a private key"),
        ("postgresql://admin:" + "Tr0ubadour-and-3@db/name", "a password in a URL"),
        ("/ho" + "me/jane/checkout/file", "a path of one machine"),
        (f"see {ROOT}/docs", "a path of one machine"),
    ],
)
def test_keys_and_private_paths_are_found_and_the_line_is_named(tmp_path, monkeypatch, line, what):
    found = problems(tmp_path, monkeypatch, line)

    assert len(found) == 1
    assert found[0].startswith("file.py:2: ")
    assert what in found[0]
    assert LETTERS not in found[0]


@pytest.mark.parametrize(
    "line",
    [
        "key = 'sk-short'",
        f"key = 'sk-planted-{LETTERS}'",
        "postgresql://user:password@host:5432/name",
        "DATABASE_URL=postgresql://user:$PASSWORD@db/name",
        "risk-" + "a" * 40,
        "https://example.org/ho" + "me/jane/file",
    ],
)
def test_examples_are_left_alone(tmp_path, monkeypatch, line):
    assert problems(tmp_path, monkeypatch, line) == []
