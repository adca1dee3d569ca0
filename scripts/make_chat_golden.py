#!/usr/bin/env python3
"""Writes tests/data/golden/chat_templates.json: texts of chat templates and their token ids, by transformers.

    python scripts/make_chat_golden.py [MODELS [OUT]]

MODELS (build/models) holds the two models of the tests, whose tokenizers transformers reads from the GGUF files;
templates are those of tests/data/chat/ and the models' own. llama.cpp is not involved: Jinja2 renders templates as
set up by transformers' apply_chat_template(), and the package tokenizers tokenizes. Needs the packages that
scripts/README.md installs for the golden files, and jinja2.

The file is an object; "cases" is a list of

    {"model": file, "template": file or null (the model's own), "conversation": name,
     "thinking": "default", "on" or "off", "text": the template's output, "ids": its tokens,
     "error": true if it rejects the conversation}

and "conversations" maps a name to OpenAI's list of messages. If the model's tokenizer puts a BOS before every text,
and the template does not, "ids" begins with it, as in llama.cpp's server (transformers puts none). Templates that
write today's date get 26 July 2024.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer, read_gguf_metadata
from transformers.utils import chat_template_utils

MODELS = ["SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"]
BOS = {"gemma-3-270m-q4_k_m.gguf": "<bos>"}  # tokenizers that put it before every text

CONVERSATIONS = {
    "question": [{"role": "user", "content": "Who are you?"}],
    "system": [
        {"role": "system", "content": "You answer in one word."},
        {"role": "user", "content": "Capital of France?"},
    ],
    "turns": [
        {"role": "user", "content": "Name a colour."},
        {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "Another one, please."},
    ],
    "system and turns": [
        {"role": "system", "content": "Be brief.\nBe kind."},
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "Minus 1?"},
    ],
    "spaces": [{"role": "user", "content": "\n  Où est-ce ? \U0001F600\n\n"}],
    "thoughts": [
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "<think>\nEasy.\n</think>\n\n4"},
        {"role": "user", "content": "Sure?"},
    ],
    "twice": [
        {"role": "user", "content": "Yes"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "Yes"},
    ],
}

THINKING = {"default": {}, "on": {"enable_thinking": True}, "off": {"enable_thinking": False}}


class FixedDate(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 12, tzinfo=tz)


def load_tokenizer(path):
    architecture, tables, config = get_gguf_tokenizer(str(path))
    backend, _ = convert_gguf_tokenizer(architecture, tables)
    # as in the model's own tokenizer.json, which GGUF files do not contain
    if tables["pre_tokenizer_type"] == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=config["bos_token"], eos_token=config["eos_token"]
    )
    tokenizer.chat_template = read_gguf_metadata(str(path))[0].get("tokenizer.chat_template")
    return tokenizer


def case(tokenizer, model, path, name, thinking):
    entry = {"model": model, "template": path.name if path else None, "conversation": name, "thinking": thinking}
    source = path.read_text() if path else tokenizer.chat_template
    try:
        text = tokenizer.apply_chat_template(
            CONVERSATIONS[name], chat_template=source, add_generation_prompt=True, tokenize=False, **THINKING[thinking]
        )
    except Exception as e:
        return entry | {"error": True, "reason": str(e)}
    bos = BOS.get(model)
    whole = text if not bos or text.startswith(bos) else bos + text
    ids = tokenizer.backend_tokenizer.encode(whole, add_special_tokens=False).ids
    return entry | {"text": text, "ids": ids}


def main():
    models = Path(sys.argv[1] if len(sys.argv) > 1 else "build/models")
    out = Path(sys.argv[2] if len(sys.argv) > 2 else "tests/data/golden/chat_templates.json")
    chat_template_utils.datetime = FixedDate
    cases = []
    for model in MODELS:
        tokenizer = load_tokenizer(models / model)
        templates = sorted(Path("tests/data/chat").glob("*.jinja"))
        for path in ([None] if tokenizer.chat_template else []) + templates:
            for name in CONVERSATIONS:
                cases.append(case(tokenizer, model, path, name, "default"))
            if path and path.stem == "qwen3":
                cases += [case(tokenizer, model, path, "system and turns", t) for t in ("on", "off")]
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    out.write_text(f'{{"conversations": {json.dumps(CONVERSATIONS, ensure_ascii=False)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
