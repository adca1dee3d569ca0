#!/usr/bin/env python3
"""Compares Headwater with other tools that explain a completion by its prompt: seconds on the same weights.

    build/peers/bin/python bench/peers.py [--sizes 25,1300] [-n 64] [--rounds 3] [--peers LIST]
                                          [-o build/bench/peers.csv]

The PyTorch side runs the GGUF file's weights, dequantised, in F32 (bench/torch_model.py); Headwater runs the GGUF
file. Both get the same prompt, generate n tokens greedily and use the same number of threads. Loading is never
timed. If a peer repeats a step many times and the whole would take minutes, only some steps are timed: `timed` of
`steps` in the CSV; `seconds` is then the time of the unique part plus steps times the mean step.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

warnings.simplefilter("ignore")
os.environ |= {"TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}  # must be set before packages are imported

import numpy as np
import torch
import transformers

import torch_model

ROOT = pathlib.Path(__file__).resolve().parent.parent


def made_up(i):
    """The text of `headwater-bench`, which a model continues for any length."""
    return (f"Chapter {i}. The old house stood at the end of a long road, and every morning the {i % 17 + 2} people "
            "who lived there walked to the village to buy bread and milk. ")


class Task:
    """One size: the prompt's text and ids [m], its sentences as ranges of tokens, the number of tokens to generate."""

    def __init__(self, model, tokenizer, m, n):
        text = "".join(made_up(i) for i in range(1, 2 + m // 25))
        encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        assert len(encoded.input_ids) >= m, f"{len(encoded.input_ids)} tokens of text, {m} are needed"
        self.model, self.tokenizer, self.m, self.n = model, tokenizer, m, n
        self.ids = torch.tensor([encoded.input_ids[:m]])
        self.text = text[: encoded.offset_mapping[m - 1][1]]
        ends = [k + 1 for k, (a, b) in enumerate(encoded.offset_mapping[:m]) if text[a:b].strip() in (".", "?")]
        ends = [*ends, m] if not ends or ends[-1] != m else ends
        self.sentences = list(zip([0, *ends[:-1]], ends))

    def generate(self):
        """ids [1, m + n]"""
        return self.model.generate(self.ids, max_new_tokens=self.n, min_new_tokens=self.n, do_sample=False)


class Timed:
    """Seconds of the unique part, and of each of a few steps out of many."""

    def __init__(self, steps=1, most=None):
        self.steps, self.timed = steps, min(steps, most or steps)
        self.once, self.list = 0.0, []

    def step(self, work, *args):
        began = time.perf_counter()
        result = work(*args)
        self.list.append(time.perf_counter() - began)
        return result

    @property
    def seconds(self):
        return self.once + self.steps * statistics.mean(self.list)


# --- rollout in torch ------------------------------------------------------------------------------


def rollout_rows(attentions, rows, m):
    """Attentions of one pass, L x [1, H, T, T] -> S_l of these rows, [rows, m, L]."""
    state, steps = None, []
    for layer in attentions:
        mixed = layer[0].mean(0)
        mixed = mixed + torch.eye(mixed.shape[-1])
        mixed = mixed / mixed.sum(-1, keepdim=True)
        state = mixed if state is None else mixed @ state
        steps.append(state[rows, :m])
    return torch.stack(steps, -1)


def n_passes(task, most):
    """As in the original note: a whole pass with attention weights for every token, and rollout of each pass. No
    cache."""
    timed = Timed(task.n, most)
    ids, rows = task.ids, []

    def step(ids):
        with torch.no_grad():
            out = task.model(ids, output_attentions=True, use_cache=False)
            rows.append(rollout_rows(out.attentions, [-1], task.m))
            return torch.cat([ids, out.logits[:, -1:].argmax(-1)], 1)

    for _ in range(timed.timed):
        ids = timed.step(step, ids)
    return timed, torch.cat(rows)


def one_pass(task, most):
    """Generation with the cache, then one whole pass with attention weights."""
    timed = Timed()

    def step():
        ids = task.generate()
        with torch.no_grad():
            out = task.model(ids[:, :-1], output_attentions=True, use_cache=False)
            return rollout_rows(out.attentions, slice(task.m - 1, None), task.m)

    return timed, timed.step(step)


def generation(task, most):
    """Generation only, with the cache."""
    timed = Timed()
    timed.step(task.generate)
    return timed, None


def leave_one_out(task, most):
    """Generation, then log p of the completion without each sentence of the prompt: one pass each."""
    timed = Timed(len(task.sentences), most)

    def logprob(ids):
        with torch.no_grad():
            logits = task.model(ids, use_cache=False).logits[0, -task.n - 1 : -1]
        return torch.log_softmax(logits, -1).gather(1, ids[0, -task.n :, None]).sum().item()

    began = time.perf_counter()
    ids = task.generate()
    base = logprob(ids)
    timed.once = time.perf_counter() - began
    scores = [
        base - timed.step(logprob, torch.cat([ids[:, :a], ids[:, b:]], 1)) for a, b in task.sentences[: timed.timed]
    ]
    assert np.isfinite(scores).all()
    return timed, None


# --- other packages --------------------------------------------------------------------------------


def inseq_method(name):
    def run(task, most):
        import inseq

        model = inseq.load_model(task.model, name, tokenizer=task.tokenizer)
        timed = Timed()
        arguments = {"max_new_tokens": task.n, "min_new_tokens": task.n, "do_sample": False}
        result = timed.step(lambda: model.attribute(task.text, generation_args=arguments, show_progress=False))
        shape = result.sequence_attributions[0].target_attributions.shape
        assert shape[1] == task.n, f"{shape[1]} tokens attributed, {task.n} were asked"
        return timed, None

    run.__doc__ = f"Inseq's `{name}`."
    return run


def context_cite(task, most):
    """ContextCite with its defaults: 64 passes without random halves of the sentences, then a LASSO."""
    import nltk

    nltk.download = lambda *args, **kwargs: False  # importing it would download a sentence splitter
    from context_cite import ContextCiter
    from context_cite.context_partitioner import BaseContextPartitioner

    class Sentences(BaseContextPartitioner):
        """The same sentences as leave-one-out's, instead of the splitter that must be downloaded."""

        parts = [task.tokenizer.decode(task.ids[0, a:b]) for a, b in task.sentences[:-1]]
        num_sources = len(parts)

        def split_context(self):
            pass

        def get_source(self, index):
            return self.parts[index]

        def get_context(self, mask=None):
            return "".join(p for i, p in enumerate(self.parts) if mask is None or mask[i])

    context = "".join(Sentences.parts)
    query = task.tokenizer.decode(task.ids[0, slice(*task.sentences[-1])])
    arguments = {"max_new_tokens": task.n, "min_new_tokens": task.n, "do_sample": False}
    timed = Timed()

    def step():
        citer = ContextCiter(
            task.model, task.tokenizer, context, query, generate_kwargs=arguments, partitioner=Sentences(context)
        )
        return citer.get_attributions(verbose=False)

    scores = timed.step(step)
    assert len(scores) == Sentences.num_sources
    return timed, None


# --- Headwater -------------------------------------------------------------------------------------


def headwater(variant, gguf):
    """A variant of `headwater-bench`, which checks its M before timing it."""

    def run(task, most):
        with tempfile.TemporaryDirectory() as folder:
            text, table = pathlib.Path(folder, "prompt.txt"), pathlib.Path(folder, "cost.csv")
            text.write_text(task.text)
            command = [f"{task.program}-bench", "-m", gguf, "-f", text, "--sizes", task.m, "-n", task.n, "-q"]
            command += ["--rounds", 1, "--threads", torch.get_num_threads(), "--variants", variant, "-o", table]
            subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
            rows = list(csv.DictReader(table.open(newline="")))
        timed = Timed()
        timed.list = [next(float(r["total_s"]) for r in rows if r["variant"] == variant)]
        return timed, None

    run.__doc__ = f"`headwater-bench --variants {variant}` on {gguf.name}."
    return run


def check_headwater(task, gguf, m_tensor):
    """Compares Headwater's M on the F32 file with torch's [n, m, L], for the same tokens."""
    completion = task.tokenizer.decode(task.generate()[0, task.m :])
    with tempfile.TemporaryDirectory() as folder:
        text, out = pathlib.Path(folder, "prompt.txt"), pathlib.Path(folder, "m.npy")
        text.write_text(task.text)
        command = [task.program, "explain", "-m", gguf, "-f", text, "--completion", completion, "--method", "rollout"]
        subprocess.run([str(word) for word in [*command, "-q", "-o", out]], check=True, stdout=subprocess.DEVNULL)
        ours = np.load(out)
    theirs = m_tensor[: len(ours)].numpy()
    worst = np.abs(ours[: len(theirs)] - theirs).max()
    print(f"M of Headwater (F32 file) and of torch differ by {worst:.1e} at most", file=sys.stderr)
    assert worst < 1e-3, "the two do not compute the same rollout"


# --- rounds ----------------------------------------------------------------------------------------


def peers_table(q4, f32):
    """name: (function, maximum prompt tokens, steps timed above 100 tokens)"""
    return {
        "headwater": (headwater("rollout+logit", q4), 10**6, None),
        "headwater-sentence": (headwater("by-sentence", q4), 10**6, None),
        "headwater-f32": (headwater("rollout", f32), 10**6, None),
        "torch-generate": (generation, 10**6, None),
        "n-passes": (n_passes, 2000, 8),
        "one-pass": (one_pass, 2000, None),
        "leave-one-out": (leave_one_out, 2000, 4),
        "inseq-attention": (inseq_method("attention"), 100, None),
        "inseq-saliency": (inseq_method("saliency"), 100, None),
        "context-cite": (context_cite, 100, None),
    }


def versions():
    import importlib.metadata as metadata

    return {p: metadata.version(p) for p in ("torch", "transformers", "inseq", "context-cite")}


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "unknown")


def commit(program):
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--tags"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def run_size(task, table, names, rounds, write, f32):
    """Rounds of all peers, alternating; seconds by name."""
    seconds = {}
    for r in range(1, rounds + 1):
        rows = {}
        for name in names:
            run, most_m, steps = table[name]
            if task.m > most_m:
                continue
            timed, rows[name] = run(task, steps if task.m > 100 else None)
            seconds.setdefault(name, []).append(timed.seconds)
            write(task.m, r, name, timed)
            part = "" if timed.timed == timed.steps else f" ({timed.timed} of {timed.steps} steps timed)"
            print(f"m = {task.m}, round {r}: {name} {timed.seconds:.2f} s{part}", file=sys.stderr)
        if r == 1 and rows.get("one-pass") is not None and rows.get("n-passes") is not None:
            few = rows["n-passes"]
            assert torch.allclose(few, rows["one-pass"][: len(few)], atol=1e-4), "n passes and one pass differ"
        if r == 1 and task.m < 100 and rows.get("one-pass") is not None:
            check_headwater(task, f32, rows["one-pass"])
    return seconds


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/headwater")
    p.add_argument("--model", type=pathlib.Path, default=ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    p.add_argument("--f32", type=pathlib.Path, default=ROOT / "build/models/SmolLM2-135M-Instruct.F32.gguf")
    p.add_argument("--sizes", default="25")
    p.add_argument("-n", type=int, default=64)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--peers", help="only these, separated by commas")
    p.add_argument("-o", "--output", type=pathlib.Path, default=ROOT / "build/bench/peers.csv")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    table = peers_table(a.model, a.f32)
    names = a.peers.split(",") if a.peers else list(table)
    unknown = [name for name in names if name not in table]
    if unknown:
        p.error(f"--peers {','.join(unknown)}: there are {', '.join(table)}")
    model, tokenizer = torch_model.open_folder(a.model, ROOT / "build/bench/torch")
    a.output.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "machine": machine(),
        "commit": commit(a.program),
        "date": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
        "versions": json.dumps(versions()),
        "threads": a.threads,
    }
    with a.output.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*head, "m", "n", "round", "peer", "seconds", "timed", "steps"])

        def write(m, r, name, timed):
            out.writerow([*head.values(), m, a.n, r, name, f"{timed.seconds:.6f}", timed.timed, timed.steps])
            file.flush()

        for m in map(int, a.sizes.split(",")):
            task = Task(model, tokenizer, m, a.n)
            task.program = a.program
            seconds = {k: statistics.median(v) for k, v in run_size(task, table, names, a.rounds, write, a.f32).items()}
            print(f"\nm = {m}, n = {a.n}, {len(task.sentences)} sentences, medians of {a.rounds} rounds")
            for name, s in seconds.items():
                ratio = f"{s / seconds['headwater']:9.1f} x headwater" if "headwater" in seconds else ""
                print(f"  {name:20} {s:10.3f} s {ratio}  {table[name][0].__doc__.splitlines()[0]}")


if __name__ == "__main__":
    main()
