#!/usr/bin/env python3
"""Make the zoo: tiny models of many architectures with random weights, and what Hugging Face's code computes with them.

    python tests/zoo/make.py LLAMA_CPP HEADWATER WORK [NAME...]

LLAMA_CPP is a folder with llama.cpp's source, whose converter is used; HEADWATER the program, which tokenizes the
prompt; WORK a folder for intermediate files. Writes tests/data/zoo/NAME.tar.xz, each with NAME.gguf and
NAME.safetensors, the golden file; scripts/recurrent_reference.py adds the numbers of recurrent layers to it.
scripts/README.md lists the packages it needs. Running the tests needs none of them.

Weights are random numbers of 6 values, so that files compress well; norms and biases are random too.
"""

import argparse
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="1000", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1",
                  TRANSFORMERS_VERBOSITY="error")
HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data" / "zoo"
sys.path.insert(0, str(HERE))
import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from architectures import ARCHITECTURES  # noqa: E402
from archive import pack  # noqa: E402
from reference import explain, layers_of, rotate_pairs  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.numpy import load_file, save, save_file  # noqa: E402
from tokenizers_of import write_tokenizer  # noqa: E402

PROMPT = "the server keeps runs in a store. each thread reads a line. where?"
COMPLETION = " in it"
METHODS = ("rollout", "contribution", "logit")
RECURRENT = ("a_log", "dt_bias", "mamba.d", "mixer.d", "linear_attn.a", "ssm")
QUERIES_KEYS = ("q_proj", "k_proj", "query_key_value", "qkv", "c_attn", "wqkv", "q_b_proj", "kv_b_proj", "kv_a")
# What the engine looks up in tables of 16-bit floats (ggml: GELU and quick GELU).
TABLES = ("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "quick_gelu")


def levels(shape, generator):
    """Random numbers around 0, of variance 1 or so, of 6 values, none of them 0."""
    return (torch.randn(shape, generator=generator).floor() + 0.5).clamp(-2.5, 2.5)


def new_value(name, p, r):
    """What a parameter becomes, given random numbers r of its shape."""
    leaf = name.lower()
    if any(s in leaf for s in RECURRENT) and p.dim() < 2:
        return p + 0.125 * r
    if p.dim() == 2 and any(s in leaf for s in ("embed", "wte", "wpe")) and "lm_head" not in leaf:
        return r
    if p.dim() >= 2:
        return r * (2 if any(s in leaf for s in QUERIES_KEYS) else 1) * 2 ** -round(np.log2(p.shape[-1]) / 2)
    if "bias" in leaf or "sinks" in leaf:
        return 0.25 * r
    if "norm" in leaf or "ln" in leaf or "layer_scalar" not in leaf:
        return p + 0.1875 * r.clamp(-2, 2)
    return p


def randomise(model, options):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(new_value(name, p, levels(p.shape, generator)))
        for name, b in model.named_buffers():
            if "correction_bias" in name:
                b.copy_(0.125 * levels(b.shape, generator))
        for layer, scalar in zip(layers_of(model) if options.get("scalars") else [], options.get("scalars", [])):
            layer.layer_scalar.fill_(scalar)


def class_of(options):
    return getattr(transformers, options["model"]) if "model" in options else transformers.AutoModelForCausalLM


def build(folder, config_class, fields, options):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, cls = getattr(transformers, config_class)(**fields), class_of(options)
    torch.manual_seed(0)
    model = cls(config).float() if "model" in options else cls.from_config(config, dtype=torch.float32)
    randomise(model, options)
    model.tie_weights()
    model.save_pretrained(folder)
    rename(folder / "model.safetensors", options.get("rename", []))
    write_tokenizer(folder, options.get("tokenizer", "bpe"))
    amend(folder / "tokenizer_config.json", options.get("tokenizer_config", {}))
    written = json.loads((folder / "config.json").read_text())
    rope = written.get("rope_parameters")
    theta = {"rope_theta": rope["rope_theta"]} if isinstance(rope, dict) and "rope_theta" in rope else {}
    amend(folder / "config.json", {**theta, **options.get("config", {}), "_force": options.get("force", [])})


def rename(path, patterns):
    if not patterns:
        return
    tensors = load_file(path)
    for pattern, by in patterns:
        tensors = {re.sub(pattern, by, name): tensor for name, tensor in tensors.items()}
    save_file(tensors, path, {"format": "pt"})


def amend(path, fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def convert(llama_cpp, folder, gguf, options):
    """In a child process that shares what is imported already."""
    log = folder / "converter.log"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for fd in (1, 2):
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), fd)
            sys.argv = ["convert.py", *map(str, (llama_cpp, folder, gguf)), *options.get("converter", [])]
            runpy.run_path(str(HERE / "convert.py"), run_name="__main__")
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("converter: " + (log.read_text().strip().splitlines() or ["?"])[-1])


def read_tokens(program, gguf, work):
    """Token ids, and how many of them are the prompt's."""
    trace = work / "tokens.safetensors"
    trace.unlink(missing_ok=True)
    done = subprocess.run([program, "explain", "-m", gguf, "-p", PROMPT, "--completion", COMPLETION, "--threads", "1",
                           "-q", "--f32-cache", "--method", "rollout", "--trace", trace],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("headwater: " + done.stderr.strip())
    with safe_open(trace, "np") as f:
        roles = [t["role"] for t in json.loads(f.metadata()["run"])["tokens"]]
        return f.get_tensor("token_ids").tolist(), sum(r != "completion" for r in roles)


def uses_tables(config):
    fields = {**config.to_dict(), **(config.to_dict().get("ffn_config") or {})}
    acts = [v for k, v in fields.items() if "act" in k and isinstance(v, str)]
    return any(v in TABLES for v in acts) or config.model_type in ("bloom", "mpt", "falcon", "gpt2")


def golden(name, folder, gguf, program, options):
    """Bytes of the golden file."""
    refused = options.get("refused", {})
    wanted = [] if "rollout" in refused else [m for m in METHODS if m not in refused]
    metadata = {"prompt": PROMPT, "completion": COMPLETION, "methods": ",".join(wanted),
                "converted_from": json.loads((folder / "config.json").read_text()).get("architectures", [""])[0],
                **{f"refused.{k}": v for k, v in refused.items()}}
    tensors = {}
    if wanted:
        model = class_of(options).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        if options.get("pairs"):
            rotate_pairs(model)
        ids, m = read_tokens(program, gguf, folder)
        metadata.update(m=str(m), tables="1" if uses_tables(model.config) else "0")
        tensors = {"ids": np.array(ids, np.int32), **explain(name, model, options, ids, m, wanted)}
    return save({k: np.ascontiguousarray(v) for k, v in tensors.items()} or {"ids": np.zeros(1, np.int32)}, metadata)


def make(name, args):
    config_class, fields, options = ARCHITECTURES[name]
    folder, gguf = args.work / name, args.work / name / f"{name}.gguf"
    build(folder, config_class, fields, options)
    convert(args.llama_cpp, folder, gguf, options)
    data = golden(name, folder, gguf, args.program, options)
    DATA.mkdir(parents=True, exist_ok=True)
    pack(DATA / f"{name}.tar.xz", {f"{name}.gguf": gguf.read_bytes(), f"{name}.safetensors": data})


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("llama_cpp", type=Path)
    p.add_argument("program", type=Path)
    p.add_argument("work", type=Path)
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    torch.set_num_threads(1)
    failed = 0
    for name in args.names or ARCHITECTURES:
        try:
            make(name, args)
            print(name, (DATA / f"{name}.tar.xz").stat().st_size, flush=True)
        except Exception as e:
            failed += 1
            print(name, "FAILED", type(e).__name__, str(e)[:300], flush=True)
            if os.environ.get("ZOO_TRACE"):
                raise
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
