"""Explains every prompt of a file on a Ray cluster, and writes Parquet.

    pip install "headwater[ray]"
    python examples/ray_job.py MODEL.gguf prompts.jsonl explained    # each line {"prompt": "..."}
"""

import sys

import ray
from headwater.ray import Explainer

model, prompts, target = sys.argv[1:4]
explained = ray.data.read_json(prompts).map_batches(
    Explainer,
    fn_constructor_kwargs={"model": model, "n": 16, "methods": "logit", "context": 1024},
    batch_size=4,
    compute=ray.data.ActorPoolStrategy(min_size=1, max_size=2),  # reading and writing need processors too
    num_cpus=1,
)
explained.write_parquet(target)
for row in ray.data.read_parquet(target).take(3):
    if row["error"] is None:
        first = max(range(len(row["sources"])), key=lambda k: row["logit"][0][k])
        print(f"{row['completion_tokens'][0]!r} <- {row['sources'][first]!r} in {row['prompt']!r}")
    else:
        print(row["error"])
