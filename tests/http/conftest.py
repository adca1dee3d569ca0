"""What the tests of the HTTP API share: a server process of the built program over a real model, and a small client.

$HEADWATER_BIN is the program, $HEADWATER_TEST_MODELS the folder of GGUF models. Both must be set: nothing is skipped.
"""

import base64
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from patience import HANG_S, patience, until
from program import program, smollm  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPT = "My name is Abdul, I am from"
ENDLESS = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"  # greedy counting goes on for thousands of tokens


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """Code and message; the reply must be an error in the one form that errors have."""
        assert self.status >= 400, self.body[:200]
        body = self.json
        assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}, body
        return body["error"]


class Stream:
    """Server-sent events of one response, one by one."""

    def __init__(self, connection, response):
        self.connection = connection
        self.response = response

    def __iter__(self):
        return self

    def __next__(self):
        name, data = None, None
        while True:
            line = self.response.readline()
            if not line:
                raise StopIteration
            line = line.rstrip(b"\n")
            if line.startswith(b"event: "):
                name = line[7:].decode()
            elif line.startswith(b"data: "):
                data = json.loads(line[6:])
            elif not line and name:
                return name, data

    def until(self, *names):
        """The next event of one of these names, with all before it: [(name, data), ...]."""
        seen = []
        for event in self:
            seen.append(event)
            if event[0] in names:
                return seen
        raise AssertionError(f"the events ended before {names}: {[name for name, _ in seen]}")

    def close(self):
        self.response.close()
        self.connection.close()


class Server:
    def __init__(self, program, model, *options, env=None):
        command = [str(program), "serve", "-m", str(model), *map(str, options)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | (env or {})
        )
        self.err = b""
        line = self.process.stdout.readline().decode()
        if not line:
            self.process.wait(HANG_S)
            raise AssertionError(f"no address: {self.process.stderr.read().decode()}")
        assert line.startswith("http://127.0.0.1:") and line.endswith("/\n"), line
        self.port = int(line[len("http://127.0.0.1:"):-2])
        self.reader = threading.Thread(target=self.read_err, daemon=True)
        self.reader.start()

    def read_err(self):
        self.err = self.process.stderr.read()

    def connect(self, timeout=HANG_S):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def send(self, method, path, body=None, headers=None):
        connection = self.connect()
        sent = dict(headers or {})
        if method == "POST" and body is None:
            body = b""  # a stop has no fields, but must say that it is JSON as well
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, sent)
        return connection, connection.getresponse()

    def ask(self, method, path, body=None, headers=None):
        connection, response = self.send(method, path, body, headers)
        try:
            return Reply(response)
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, headers)

    def ok(self, method, path, body=None):
        reply = self.ask(method, path, body)
        assert reply.status == 200, (reply.status, reply.body[:500])
        return reply.json

    def explain(self, prompt=PROMPT, n=3, **fields):
        body = {"prompt": prompt} | fields
        if "completion" not in fields:
            body["options"] = {"n_generate": n} | fields.get("options", {})
        return self.ok("POST", "/api/explain", body)

    def stream(self, path, body):
        connection, response = self.send("POST", path, body, {"Accept": "text/event-stream"})
        assert response.status == 200, response.read()
        assert response.headers["Content-Type"] == "text/event-stream"
        return Stream(connection, response)

    def raw(self, data, seconds=10):
        """Bytes in, all bytes out until the server closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience(seconds)) as s:
            s.sendall(data)
            out = b""
            try:
                while piece := s.recv(65536):
                    out += piece
            except TimeoutError:
                pass
            return out

    def idle(self):
        """Waits until no job is left."""
        until(lambda: not self.ok("GET", "/api/status")["queue"], "the queue does not empty")

    def kill(self):
        self.process.kill()
        self.process.wait(HANG_S)

    def stop(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(HANG_S)
        self.reader.join(30)
        return status


@pytest.fixture(scope="session")
def serve(program, smollm):
    """serve("--store", path) starts a server; whatever still runs at the end is stopped."""
    servers = []

    def start(*options, model=smollm, **kwargs):
        servers.append(Server(program, model, *options, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of small random models (scripts/make_tiny_models.py)."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, ROOT / "scripts/make_tiny_models.py", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def server(serve):
    """The server that tests share which do not care what others left in it. It must still stop cleanly at the end."""
    server = serve("--no-store")
    yield server
    assert server.process.poll() is None, f"the server died: {server.err.decode()}"
    assert server.stop() == 0, server.err.decode()


def unpack(attribution):
    """M [n, L, m] of a document's attribution, and its means [n, m]."""
    n, m, layers = attribution["shape"]
    matrix = attribution["packed"]["matrix"]
    assert matrix["order"] == "nLm"
    scale = np.frombuffer(base64.b64decode(matrix["scale"]), "<f4").reshape(n, layers, 1)
    data = zlib.decompress(base64.b64decode(matrix["data"]))
    values = np.frombuffer(data, {"u8": np.uint8, "i8": np.int8}[matrix["dtype"]]).reshape(n, layers, m)
    mean = np.frombuffer(zlib.decompress(base64.b64decode(attribution["packed"]["mean"]["data"])), "<f4").reshape(n, m)
    return values * scale, mean


def text_of(run):
    return run["run"]["completion"]
