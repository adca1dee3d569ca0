"""docs/research/faithfulness.md says what the results beside it say."""

import json
import pathlib
import shutil
import subprocess
import sys
from patience import HANG_S

ROOT = pathlib.Path(__file__).parents[3]


def write_tables(program, page):
    subprocess.run(
        [sys.executable, ROOT / "scripts/faithfulness_tables.py", "--program", program, page],
        check=True,
        timeout=HANG_S,
    )


def test_the_tables_are_those_of_the_results(program, tmp_path):
    page = shutil.copy(ROOT / "docs/research/faithfulness.md", tmp_path)
    shutil.copytree(ROOT / "docs/research/faithfulness", tmp_path / "faithfulness")
    write_tables(program, page)
    assert pathlib.Path(page).read_text() == (ROOT / "docs/research/faithfulness.md").read_text()


def test_tables_of_metrics_of_files_and_of_groups(program, tmp_path):
    line = (ROOT / "docs/research/faithfulness/needle-6-G.jsonl").read_text().splitlines()[0]
    (tmp_path / "page").mkdir()
    for name in ("a-G", "b-S"):
        (tmp_path / f"page/{name}.jsonl").write_text(line + "\n")
    page = tmp_path / "page.md"
    page.write_text("<!-- eval a-G: hit1 mrr -->\nold\n<!-- /eval -->\nkept\n"
                    "<!-- eval a-G b-S: hit1 -->\n<!-- /eval -->\n<!-- eval a-G by depth: hit1 -->\n<!-- /eval -->\n")
    write_tables(program, page)
    text = page.read_text()
    assert "| method | hit@1 | MRR |" in text
    assert "old" not in text and "\nkept\n" in text
    assert "| method | a, Gemma | b, SmolLM2 |" in text and "| items, right | 1, 1 | 1, 1 |" in text
    assert "| depth | 0.05 |" in text and "| logit | 1.00 |" in text


def test_words_alone(tmp_path):
    """Two spans of three share the asked words; the rarer word decides, then nothing does, then the evidence is the
    other one."""
    spans = [[0, 12], [13, 26], [27, 40]]
    prompt = "A cat is red. A cat is wet. A dog is wet.\n"
    items = [{"prompt": prompt + q, "spans": spans, "evidence": [spans[e]]}
             for q, e in (("red cat?", 0), ("a cat is?", 0), ("dog?", 0))]
    path = tmp_path / "some.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/word_overlap.py", path], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[2:] == ["| some | 3 | 0.50 | 1.00 |"]
