"""An HTTP server on loopback that speaks the OpenAI protocol, answers from a writer or a model, and can misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from sepo.lm.load import LanguageModel
from sepo.lm.reasoned import Reply

Body = Mapping[str, Any]
Say = Callable[[Body], Reply]
FAULTS = ("429", "500", "cut", "slow", "malformed", "nothing")
SLOW = 1.5
"""Seconds that a slow answer takes: longer than the tests wait for one."""


class Server(ThreadingHTTPServer):
    """Answers chats by ``say`` and completions by ``model``, a share ``faulty`` of the calls by a fault instead.

    Parameters
    ----------
    faults
        Those that occur.
    """

    daemon_threads = True

    def __init__(
        self,
        say: Say | None = None,
        model: LanguageModel | None = None,
        faulty: float = 0.0,
        faults: Sequence[str] = FAULTS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.say, self.echo, self.faulty, self.faults = say, model and Echo(model), faulty, faults
        self.headers = dict(headers or {})
        self.rng = np.random.default_rng(0)
        self.lock = threading.Lock()
        self.calls: list[tuple[str, Body]] = []
        self.answered = 0
        self.broken: dict[str, int] = dict.fromkeys(FAULTS, 0)
        self.open = self.most_open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def fault(self) -> str | None:
        with self.lock:
            if self.rng.random() >= self.faulty:
                return None
            name = self.faults[sum(self.broken.values()) % len(self.faults)]
            self.broken[name] += 1
            return name


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.calls.append((self.path, body))
            server.open += 1
            server.most_open = max(server.most_open, server.open)
        try:
            match server.fault():
                case "429":
                    self.send(429, {"error": {"message": "slow down"}}, {"retry-after-ms": "20"})
                case "500":
                    self.send(500, {"error": {"message": "out of memory"}}, {"retry-after-ms": "20"})
                case "cut":
                    self.connection.close()
                case "slow":
                    time.sleep(SLOW)
                    self.connection.close()
                case "malformed":
                    self.send(200, '{"choices": [{"mess')
                case "nothing":
                    self.send(200, {"choices": []})
                case _:
                    self.answer(body)
        finally:
            with server.lock:
                server.open -= 1

    def answer(self, body: Body) -> None:
        server = self.server
        if self.path.endswith("/chat/completions") and server.say is not None:
            reply = server.say(body)
            choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}}
            choice["finish_reason"] = "stop" if reply.finished else "length"
            self.send(200, {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}})
        elif self.path.endswith("/completions") and not self.path.endswith("/chat/completions") and server.echo:
            self.send(200, server.echo.answer(body))
        else:
            self.send(404, {"error": {"message": "no such route"}})
            return
        with server.lock:
            server.answered += 1

    def send(self, status: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
        text = document if isinstance(document, str) else json.dumps({"object": "x", "model": "m", **document})
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **self.server.headers, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class Echo:
    """What a model says of prompts of tokens; one that begins as the last did is read from there on."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm, self.lock = lm, threading.Lock()
        self.tokens: list[int] = []
        self.said: list[float | None] = [None]
        self.past = DynamicCache()

    def answer(self, body: Body) -> dict[str, Any]:
        """Say prompts back with the log-probability of each token, and write one more."""
        assert body["echo"]
        assert body["max_tokens"] == 1
        with self.lock:
            rows = [self._row(prompt) for prompt in body["prompt"]]
        choices = [
            {"index": index, "text": "", "logprobs": {"token_logprobs": row}, "finish_reason": "length"}
            for index, row in enumerate(rows)
        ]
        return {
            "choices": choices[::-1],
            "usage": {"prompt_tokens": sum(map(len, body["prompt"])), "completion_tokens": 1},
        }

    def _row(self, prompt: list[int]) -> list[float | None]:
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self.tokens, prompt, strict=False)))
        kept = max(alike - 1, 0)  # the last of them is read again: it tells the next
        self.past.crop(kept - len(self.tokens))  # less than zero: how many to forget
        with torch.no_grad():
            out = self.lm.model(torch.tensor([prompt[kept:]]), cache=self.past, use_cache=True)
        logs = torch.log_softmax(out.logits[0].double(), -1)
        new = [float(logs[i - 1, token]) for i, token in enumerate(prompt[kept:]) if i]
        self.tokens, self.said = prompt, [*self.said[: kept + 1], *new]
        return [*self.said, float(logs[-1].max())]


@contextmanager
def served(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def by_seed(writer: Any) -> Say:
    """Let a writer answer chats, each by random numbers made from the call's seed."""

    def say(body: Body) -> Reply:
        chat = [(turn["role"], turn["content"]) for turn in body["messages"]]
        if len(chat) == 1:  # no question of a game
            return Reply(f"some words, such as {body['seed']}", finished=True)
        lots = np.random.default_rng(body["seed"]).random((1, 2))
        return writer.write([chat], lots)[0]

    return say
