"""The weights of a GGUF file as a transformers model, for bench/peers.py: dequantised, F32, eager attention.

Stored in a folder (config, safetensors, tokenizer) that peers open like any local model; nothing is downloaded.
"""

import pathlib
import sys

import torch
import transformers
from gguf import GGUFReader

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))  # last, because it has a folder with the same name as the package datasets
import make_golden  # noqa: E402  GGUF tensors and metadata as transformers names them


def write_folder(gguf, folder):
    """Dequantises `gguf` into `folder`, which is complete when config.json exists."""
    reader = GGUFReader(gguf)
    arch = reader.fields["general.architecture"].contents()
    n_vocab = len(reader.fields["tokenizer.ggml.tokens"].data)
    config = make_golden.config_for(arch, lambda key: reader.fields[f"{arch}.{key}"].contents(), n_vocab)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    state = {make_golden.module_name(arch, t.name): make_golden.weight(arch, config, t).float() for t in reader.tensors}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)
    model.tie_weights()
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def open_folder(gguf, folder, attention="eager"):
    """Model and tokenizer; converted from `gguf` the first time."""
    if not (folder / "config.json").exists():
        write_folder(gguf, folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation=attention, dtype=torch.float32
    )
    model.eval()
    model.generation_config.pad_token_id = tokenizer.eos_token_id
    return model, tokenizer
