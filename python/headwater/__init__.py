"""Headwater traces every generated token of a language model back to its sources in the prompt.

    import headwater

    model = headwater.Model("MODEL.gguf")
    result = model.explain("My name is Abdul, I am from", n=8)
    result["logit"].values    # NumPy, [n, m, L]: completion tokens, prompt tokens, layers
    result.top(5)             # the strongest prompt tokens
    result                    # in a notebook: the interactive report

docs/guide/python.md is the guide. Numbers and methods are those of the C library: `headwater.methods()` lists them.
"""

from __future__ import annotations

from .c_api import HW_VERSION as __version__
from .attribution import Attribution, Diagnostics, View
from .citations import Citation, Citations, CitedDocument, Part, cite
from .errors import (
    ArgumentError,
    CancelledError,
    EngineError,
    FileError,
    FormatError,
    HeadwaterError,
    OutOfMemoryError,
    UnsupportedError,
)
from .foreign import from_attentions, from_transformers
from .model import Model, Stream
from .program import models
from .result import Figure, Result, read
from .run import Alternative, ModelInfo, Run, Segment, Token
from .tables import Method, Setting, methods, settings

__all__ = [
    "Alternative",
    "ArgumentError",
    "Attribution",
    "CancelledError",
    "Citation",
    "Citations",
    "CitedDocument",
    "Diagnostics",
    "EngineError",
    "Figure",
    "FileError",
    "FormatError",
    "HeadwaterError",
    "Method",
    "Model",
    "ModelInfo",
    "OutOfMemoryError",
    "Part",
    "Result",
    "Run",
    "Segment",
    "Setting",
    "Stream",
    "Token",
    "UnsupportedError",
    "View",
    "__version__",
    "cite",
    "from_attentions",
    "from_transformers",
    "methods",
    "models",
    "read",
    "settings",
]
