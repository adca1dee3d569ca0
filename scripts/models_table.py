#!/usr/bin/env python3
"""Writes the table of docs/models.md: which methods Headwater supports for each model.

    python scripts/models_table.py HEADWATER FOLDER [RESULTS] > docs/models.md

FOLDER holds GGUF files, directly or one folder below. Each is opened by `HEADWATER info`, which verifies what was read
from its graph against the engine's numbers. RESULTS, a JSON file {name: text}, states further comparisons for a model
of that file name.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

METHODS = ("rollout", "contribution", "logit")
HEAD = """# Models

What Headwater makes of models by architecture, written by `scripts/models_table.py` from tiny models with random weights (F32), made by
Hugging Face's code and converted by llama.cpp's converter. `headwater info -m FILE` says the same of a given file.

A yes means that the probe closed: the stream is the sum of what blocks add, attention's part is what weights and values give,
the final stream gives the engine's logits (`docs/design/design.md`). Where a model was also compared with PyTorch the table has the errors:
NMSE of the attention rows, of `contribution` and of `logit`, each against the formula with PyTorch's own activations. GELU and SiLU tables in F16,
which the engine has, leave 1e-7 or so in rows behind the first layer.

The column of comparisons is filled by hand-run scripts and not by the test suite. Their reference was adapted where it left a part out: the
Jacobian of LayerNorm, the layer scalars of Gemma 4, the gates of Qwen3-Next and Qwen3.5, for which the check is weaker, since PyTorch's own
gate is taken. `logit` of models with a soft cap is of the logit before the cap.

Not settled: **AFMoE** (Trinity). The probe closes and says yes, and yet the attention rows from the second layer on differ from PyTorch's (NMSE 0.2 to
0.4, while the first layer's agree to 4e-14), so engine and reference compute different models of the same weights. Which of them is right
was not found; do not rely on it. Not in the table: dots1 and minimax2, on which the engine gives up, mellum, on which it ends with an assertion,
exaonemoe, hrmtext and nemotronh, which it does not load as converted here, and encoders (bert, t5).

| architecture | rollout | contribution | logit | compared with PyTorch: rows, contribution, logit |
|---|---|---|---|---|
"""


def reading(program, path):
    """{method: "yes" or the reason}, or the error if the model does not open."""
    done = subprocess.run([program, "info", "-m", path], capture_output=True, text=True, timeout=120)
    if done.returncode:
        return {m: "no: " + (done.stderr.strip().splitlines() or ["it does not open"])[-1] for m in METHODS}
    return {m: re.search(rf"\b{m}: (.*)", done.stdout).group(1) for m in METHODS}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("program")
    p.add_argument("folder", type=Path)
    p.add_argument("results", type=Path, nargs="?")
    a = p.parse_args()
    results = json.loads(a.results.read_text()) if a.results else {}
    print(HEAD, end="")
    for path in sorted([*a.folder.glob("*.gguf"), *a.folder.glob("*/*.gguf")]):
        name = path.name.split(".")[0]
        row = [reading(a.program, path)[m].replace(str(path), "the file").replace("|", "/") for m in METHODS]
        print(f"| {name} | {' | '.join(row)} | {results.get(name, '')} |")
        print(name, file=sys.stderr)


if __name__ == "__main__":
    main()
