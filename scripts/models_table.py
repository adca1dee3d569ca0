#!/usr/bin/env python3
"""Write docs/models.md from what the test of the zoo found, or check that it is that.

    python scripts/models_table.py build/dev/tests/zoo/results.tsv
    python scripts/models_table.py --check build/dev/tests/zoo/results.tsv

RESULTS has a line a model: its name, the engine's architecture, the class of Hugging Face's code, for rollout,
contribution and logit nothing or why the model lacks it, and "exact", "tables" or, where only the probe ran, "probe".
"""

import argparse
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "models.md"
HEAD = """# Models

What Headwater can explain of models, by architecture. `scripts/models_table.py` writes this page from what the test
`model.zoo` found, and the test `model.zoo_table` verifies that the page is up to date. `headwater info -m FILE` gives
the same answers for a file.

Each model is tiny, with random weights, norms and biases, built by Hugging Face's code and converted by llama.cpp's
converter (`tests/zoo/make.py`). It runs in F32 on a prompt that is decoded in chunks and is longer than the sliding
windows. **yes** means:

- The probe closed: the stream is the sum of what blocks add, the contribution of attention follows from weights and
  values, and the final stream gives the engine's logits (`docs/design/design.md`). The probe runs for every file that
  is opened, so this holds for yours too.
- The numbers equal those of Hugging Face's code for the same weights: attention rows and rollout within an NMSE of
  1e-8, `contribution` and `logit` 1e-6, log probabilities and each part of logit's balance 1e-4 nats. *F16 tables*: the
  engine looks GELU up in a table of 16-bit floats. Rows of the first layer are then bounded by 1e-8 and all others by
  3e-5, `contribution` and `logit` by 1e-5, the balance by 1e-2 nats. *The probe*: only the first of these two was
  tested.

Notes:

- Gates of attention are read from Hugging Face's own activations. With a soft cap, `logit` refers to the logit before
  the cap.
- Of models with recurrent layers or convolutions, attention's part is compared here. Those layers' own part is compared
  with PyTorch by `scripts/recurrent_reference.py`; `rollout` and `attention` do not contain it.
- llama.cpp ignores the sliding windows of Mistral and Phi-3, and applies EXAONE 4's only in models of 64 layers: there
  it computes another model than Hugging Face's code. These models have no window here.
- AFMoE (Trinity): llama.cpp always scales embeddings by the root of their width and normalises the weights of experts
  only if the file says so. Both agree with Hugging Face's code for configurations with `mup_enabled` and `route_norm`,
  as the published models have.
- Some architectures mix their stream by factors that depend on the token: Gemma 3n (AltUp), those with
  hyper-connections (GLM 5 Next, Hunyuan 4, Qwen 4 Exp) or attention over earlier blocks (Kimi K3). MiniMax-01
  normalises the stream itself, HRM applies its blocks several times. There `logit` and the embedding's part of its
  balance hold these factors, and the scales of norms, at their value in the pass. `contribution` refers to the stream
  that attention's output is added to, or, with hyper-connections, to the mixture that the block reads. Those that are
  not in the table (GLM 5 Next, Kimi K3, MiniMax-01) were held to the probe only, on llama.cpp's own random models.
  MiniMax-01's lightning attention layers are read by no method: the balance counts them with the MLPs,
  and results say which share of the stream's change they and these made.
- Hunyuan 4: llama.cpp rotates consecutive channels of queries and keys, Hugging Face's code the two halves of a head.
  The reference does as llama.cpp does.
- Gemma 3n: llama.cpp divides by n - 1 in the deviation that its sparse activations are cut at, Hugging Face's code by
  n. The configuration here makes up for it.
- RWKV 6 Qwen2 and ARWKV 7, held to the probe only: their states are gated linear attention and RWKV 7's. A value is
  made of a token and of the one before it (token shift), and counts for its own token.
- Chameleon, held to the probe only: it replaces the logits of image tokens, so `logit` refers to the mean of the
  others.
- Refused: DeepSeek 4 (its attention reads compressed tokens beside tokens, so rows are not by token), RWKV 6 and
  RWKV 7 (a norm of heads with a mean, and feed-forward parts that read the token before; leave-one-out and ablation
  work), and CogVLM's `logit` (libllama returns the logits of another token when several are decoded at once).

| model | engine's architecture | Hugging Face's class | rollout | contribution | logit | held to |
|---|---|---|---|---|---|---|
"""
HELD = {"exact": "F32", "tables": "F16 tables", "probe": "the probe"}


def page(results):
    lines = [line.split("\t") for line in results.read_text().splitlines()]
    rows = []
    for name, architecture, converted_from, *lacks, held in lines:
        cells = ["no: " + lack.replace("|", "/") if lack else "yes" for lack in lacks]
        rows.append(
            f"| {name} | {architecture} | {converted_from} | {' | '.join(cells)} | "
            f"{HELD[held] if 'yes' in cells else ''} |\n"
        )
    return HEAD + "".join(rows)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("results", type=Path)
    p.add_argument("--check", action="store_true")
    a = p.parse_args()
    wanted = page(a.results)
    if not a.check:
        PAGE.write_text(wanted)
    elif PAGE.read_text() != wanted:
        print(f"{PAGE} is not what the test found: python scripts/models_table.py {a.results}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
