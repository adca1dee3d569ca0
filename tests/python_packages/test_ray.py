"""headwater.ray.Explainer and examples/ray_job.py on a real Ray of this machine: one node, two processors, an object
store of 80 MB, no dashboard."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from conftest import ENVIRONMENT, MODEL, ROOT
from patience import patience
from shown import is_shown

PROMPTS = [
    "My name is Abdul, I am from",
    "The key is in the red box. Where is the key? In the",
    "a b " * 3000,
]
# One user of one machine: no tokens. Ray's own limits are too short for a machine that has other work to do.
SETTINGS = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "120",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "600", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
NODE = ["start", "--head", "--block", "--num-cpus=2", "--object-store-memory=80000000", "--include-dashboard=false",
        "--disable-usage-stats"]
# Given, because a raylet waits no longer than 15 s for its agents to write what they chose, and then aborts.
PORTS = ["port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port",
         "metrics-export-port"]
ATTEMPTS = 3


def free_ports(n):
    with contextlib.ExitStack() as kept:
        sockets = [kept.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start(python, folder):
    """A node that is up, and the address in its log; None if it did not come up."""
    log = folder / "node.log"
    ports = [f"--{name}={port}" for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)]
    command = [python, "-c", "import sys; from ray.scripts.scripts import main; sys.exit(main())", *NODE, *ports]
    with open(log, "w") as out:
        node = subprocess.Popen([*command, f"--temp-dir={folder}"], env={**ENVIRONMENT, **SETTINGS}, stdout=out,
                                stderr=out, start_new_session=True)
    end = time.monotonic() + patience(120)
    while node.poll() is None and time.monotonic() < end:
        found = [line.split("'")[1] for line in log.read_text().splitlines() if "ray start --address=" in line]
        if found:
            return node, found[0]
        time.sleep(0.2)
    stop(node)
    return None


def stop(node):
    """Ends the node and all that it started, which is its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.wait(30)


@pytest.fixture(scope="module")
def ray(python):
    """Environment of programs that use the cluster."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as name:  # short: sockets are in it
        folder = type(ROOT)(name)
        started = next(filter(None, (start(python, folder) for _ in range(ATTEMPTS))), None)
        assert started, (folder / "node.log").read_text()[-3000:]
        try:
            yield {**ENVIRONMENT, **SETTINGS, "RAY_ADDRESS": started[1]}
        finally:
            stop(started[0])


def test_the_example_explains_a_file(run, ray, tmp_path):
    lines = [json.dumps({"prompt": prompt, "id": i}) for i, prompt in enumerate(PROMPTS)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    printed = run(ROOT / "examples" / "ray_job.py", MODEL, tmp_path / "prompts.jsonl", tmp_path / "out", cwd=tmp_path,
                  env=ray)
    lines = [line for line in printed.splitlines() if " <- " in line or "more than the context" in line]
    assert len(lines) == len(PROMPTS), printed  # Ray may print lines of its own
    for line in lines:
        is_shown(line, "docs/guide/python.md")
    code = f"""
import json, pyarrow.parquet as parquet, headwater
rows = sorted(parquet.read_table({str(tmp_path / "out")!r}).to_pylist(), key=lambda row: row["id"])
model = headwater.Model({str(MODEL)!r}, context=1024, threads=1)
whole = model.explain(rows[0]["prompt"], n=16, methods="logit")
difference = abs(whole["logit"].mean - rows[0]["logit"]).max()
print(json.dumps({{"rows": rows, "difference": float(difference), "completion": whole.completion}}))
"""
    made = json.loads(run("-c", code))
    rows = made["rows"]
    assert [row["id"] for row in rows] == [0, 1, 2]
    assert made["difference"] < 1e-5 and made["completion"] == rows[0]["completion"]
    assert len(rows[0]["logit"]) == 16 and len(rows[0]["logit"][0]) == len(rows[0]["sources"]) == 8
    assert rows[2]["logit"] is None and "1024" in rows[2]["error"]
    assert [row["error"] for row in rows if row["id"] != 2] == [None, None]
