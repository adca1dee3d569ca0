"""Explanations at scale: a stage of Ray Data.

    import ray
    from headwater.ray import Explainer

    prompts = ray.data.read_json("prompts.jsonl")                      # a column "prompt"
    explained = prompts.map_batches(
        Explainer,
        fn_constructor_kwargs={"model": "MODEL.gguf", "n": 64, "methods": "logit"},
        batch_size=8,
        compute=ray.data.ActorPoolStrategy(size=4),                    # four actors, each with the model
        num_cpus=2,                                                    # threads of each
    )
    explained.write_parquet("explained")

A prompt that cannot be explained (too long, empty) is a row with `error` and no numbers; the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .errors import ArgumentError, EngineError, HeadwaterError, need
from .model import Model
from .result import Methods, Result


class Explainer:
    """Explains the prompts of each batch; to be given to `map_batches` as it is.

    Added to the batch's columns: `completion`, `completion_tokens` [n], `sources` [m], the labels of the columns, for
    each method `METHOD` [n][m], means over layers, and `error`, null if there is none. A column "completion" in the
    data is explained instead of generating one.
    """

    def __init__(
        self,
        model: str,
        *,
        column: str = "prompt",
        n: int = 32,
        methods: Methods | None = None,
        threads: int = 0,
        context: int = 0,
        **options: Any,
    ) -> None:
        """`column`: where the prompts are, text or messages. `threads` 0: as many as Ray reserved for the actor
        (num_cpus). Further options are those of `Model.explain`."""
        threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
        self.model = Model(model, threads=threads, context=context)
        self.column = column
        self.options: dict[str, Any] = {"n": n, "methods": methods, **options}

    def __call__(self, batch: Mapping[str, Any]) -> Any:
        """A batch of columns in, a pyarrow table out."""
        arrow: Any = need("pyarrow")
        columns = {name: list(values) for name, values in batch.items()}
        if self.column not in columns:
            raise ArgumentError(f'the data has no column "{self.column}": {", ".join(columns)}')
        given: list[Any] = columns.pop("completion", [None] * len(columns[self.column]))
        rows = [self._row(prompt, known) for prompt, known in zip(columns[self.column], given, strict=True)]
        for name in rows[0] if rows else ():
            columns[name] = [row[name] for row in rows]
        numbers, texts = arrow.list_(arrow.list_(arrow.float32())), arrow.list_(arrow.string())
        kinds = {"completion": arrow.string(), "completion_tokens": texts, "sources": texts, "error": arrow.string()}
        kinds |= {method: numbers for method in self.methods}
        return arrow.table({name: arrow.array(values, kinds.get(name)) for name, values in columns.items()})

    @property
    def methods(self) -> list[str]:
        """Names of the columns with numbers."""
        return self.model.methods(self.options["methods"])

    def _row(self, prompt: Any, completion: str | None) -> dict[str, Any]:
        try:
            messages = prompt if isinstance(prompt, (str, bytes)) else [dict(message) for message in prompt]
            made = self.model.explain(messages, completion=completion, **self.options)
        except EngineError:
            raise  # the actor is to be started anew
        except HeadwaterError as error:
            empty = dict.fromkeys([*self.methods, "completion", "completion_tokens", "sources"])
            return {**empty, "completion": completion, "error": str(error)}
        return self._numbers(made)

    def _numbers(self, made: Result) -> dict[str, Any]:
        row: dict[str, Any] = {method: a.mean.tolist() for method, a in made.items()}
        row["completion"] = made.completion
        row["completion_tokens"] = [token.text for token in made.attributions[0].tokens]
        row["sources"] = made.columns
        row["error"] = None
        return row
