"""headwater.ray.Explainer and examples/ray_job.py on a real Ray of this machine."""

import json

from conftest import MODEL, ROOT

PROMPTS = [
    "My name is Abdul, I am from",
    "The key is in the red box. Where is the key? In the",
    "a b " * 3000,
    "The cat",
]


def test_the_example_explains_a_file(run, tmp_path):
    lines = [json.dumps({"prompt": prompt, "id": i}) for i, prompt in enumerate(PROMPTS)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    run(ROOT / "examples" / "ray_job.py", MODEL, tmp_path / "prompts.jsonl", tmp_path / "out", cwd=tmp_path)
    code = f"""
import json, pyarrow.parquet as parquet, headwater
rows = sorted(parquet.read_table({str(tmp_path / "out")!r}).to_pylist(), key=lambda row: row["id"])
model = headwater.Model({str(MODEL)!r}, context=1024, threads=1)
whole = model.explain(rows[0]["prompt"], n=16, methods="logit")
difference = abs(whole["logit"].mean - rows[0]["logit"]).max()
print(json.dumps({{"rows": rows, "difference": float(difference), "completion": whole.completion}}))
"""
    made = json.loads(run("-c", code))
    rows = made["rows"]
    assert [row["id"] for row in rows] == [0, 1, 2, 3]
    assert made["difference"] < 1e-5 and made["completion"] == rows[0]["completion"]
    assert len(rows[0]["logit"]) == 16 and len(rows[0]["logit"][0]) == len(rows[0]["sources"]) == 8
    assert rows[2]["logit"] is None and "1024" in rows[2]["error"]
    assert [row["error"] for row in rows if row["id"] != 2] == [None, None, None]
