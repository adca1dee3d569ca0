"""Run llama.cpp's own converter, but not its check of the tokenizer's hash.

    convert.py LLAMA_CPP FOLDER OUT.gguf [OPTION...]

The converter identifies tokenizers by a hash, and does not know those that are made here. Fields of config.json that
newer releases of Hugging Face's code no longer return are read from the file.
"""

import json
import sys
from pathlib import Path

source, folder, out, *options = sys.argv[1:]
sys.path[:0] = [source, source + "/gguf-py"]
import conversion.base as base  # noqa: E402
import convert_hf_to_gguf as converter  # noqa: E402

base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
load = base.ModelBase.load_hparams


def load_hparams(path, *args, **kwargs):
    fields = load(path, *args, **kwargs)
    written = json.loads((Path(path) / "config.json").read_text())
    force = written.get("_force", [])
    for key, value in written.items():
        if fields.get(key) is None or key in force:
            fields[key] = value
    return fields


base.ModelBase.load_hparams = staticmethod(load_hparams)
sys.argv = ["convert_hf_to_gguf.py", folder, "--outfile", out, "--outtype", "f32", *options]
converter.main()
