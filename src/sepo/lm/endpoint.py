"""A model behind an OpenAI-compatible server: many calls at once, none made twice, faults outlived.

The ``openai`` client repeats what was refused for the moment (408, 409, 429, 5xx but 501), cut or late, with growing,
jittered pauses or when the server says; here it is also asked again where what came cannot be read. A server that says
that no call is left is left alone until it says. Every answer is on disk as soon as it is there, under what was asked,
so a command that is stopped, or whose server is gone, goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sepo.errors import EndpointError, InputError
from sepo.files import cache_folder
from sepo.lm.chat import Question
from sepo.lm.reasoned import Reply

INSTALL = "pip install 'sepo[endpoint]'"
KEYS = ("SEPO_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set; a server of one's own needs none."""
SAMPLING = {"generation_config": '{"do_sample": true, "top_k": 0}'}
"""What ``transformers serve`` must be told: it decodes greedily unless the model was shipped with other settings."""
IMPOSSIBLE = -9999.0
"""The least log-probability of a token: JSON has no -Infinity, and this is what vLLM writes in its place."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
"""What comes of reading an answer that is not as it should be."""
ABSENT = 501
"""What a server answers that does not have what it is asked for: no passing trouble, unlike its other faults."""
PROBES = 6
"""Replies that show whether a server samples."""
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Limits:
    """How a server is treated.

    Attributes
    ----------
    concurrency
        Calls that are open at once.
    retries
        How often a call is repeated before it has failed.
    timeout
        Seconds that an answer may take.
    price
        US dollars per million tokens of prompts and of replies.
    body
        Further fields of every call, which a server may need: see ``SAMPLING``.
    """

    concurrency: int = 8
    retries: int = 6
    timeout: float = 120.0
    price: tuple[float, float] | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


class Call(NamedTuple):
    """A call of the server: the kind, and the body but for the model."""

    kind: Literal["chat", "completions"]
    body: Mapping[str, Any]


class Endpoint:
    """A model of a server.

    Parameters
    ----------
    tell
        Hears how many calls of a batch are answered, and how many there are.
    """

    def __init__(self, model: str, base_url: str, limits: Limits | None = None, tell: Tell | None = None) -> None:
        self.model, self.base_url = model, base_url.rstrip("/")
        self.limits, self.tell = limits or Limits(), tell
        self.kept = Kept(self.base_url, model)
        self.used = {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0}
        self._most = "max_tokens"
        self._not_before = 0.0

    def answers(self, calls: Sequence[Call]) -> list[dict[str, Any]]:
        """Return what each call is answered, from disk where it was made before.

        Raises
        ------
        InputError
            If the server refuses a call for good: no such model, a wrong key, a setting that it does not know.
        EndpointError
            If a call failed after its retries; the others' answers are kept.
        """
        calls = [call._replace(body={**call.body, **self.limits.body}) for call in calls]
        keys = [_digest(call) for call in calls]
        missing = {k: call for k, call in zip(keys, calls, strict=True) if k not in self.kept.answers}
        if missing:
            _finish(self._ask(missing))
        out = [self.kept.answers[k] for k in keys]
        for answer in out:
            self.used["calls"] += 1
            for name in ("prompt_tokens", "completion_tokens"):
                self.used[name] += answer["usage"].get(name, 0)
        return out

    def about(self) -> dict[str, Any]:
        """Return the address, and what was used so far; answers from disk count as when they were asked for."""
        out: dict[str, Any] = {"endpoint": self.base_url, **self.used}
        if self.limits.price is not None:
            used = (self.used["prompt_tokens"], self.used["completion_tokens"])
            out["cost"] = sum(n * p for n, p in zip(used, self.limits.price, strict=True)) / 1e6
        return out

    async def _ask(self, missing: Mapping[str, Call]) -> None:
        import asyncio  # here and below: scripts and tables are audited in less time than this takes

        client = _client(self.base_url, self.limits)
        gate = asyncio.Semaphore(self.limits.concurrency)
        done = 0

        async def one(key: str, call: Call) -> None:
            nonlocal done
            async with gate:
                self.kept.add(key, await self._answer(client, call))
            done += 1
            if self.tell is not None:
                self.tell(done, len(missing))

        tasks = [asyncio.create_task(one(key, call)) for key, call in missing.items()]
        try:
            await asyncio.gather(*tasks)
        except EndpointError as error:
            raise EndpointError(f"{error}; {done} of {len(missing)} answers are kept: run it again to go on") from None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def _answer(self, client: Any, call: Call) -> dict[str, Any]:
        """Make one call until it is answered."""
        import openai

        fault = ""
        for turn in range(self.limits.retries + 1):
            await self._wait(0.25 * 2**turn if turn else 0.0)
            most = self._most
            try:
                found = await self._once(client, call, most)
                return READERS[call.kind](found, call)
            except openai.APIStatusError as error:
                passing = error.status_code >= 500 and error.status_code != ABSENT
                if passing or error.status_code in (408, 409, 429):
                    raise EndpointError(self._failed(_said(error))) from None
                if most == "max_tokens" and "max_completion_tokens" in _said(error):
                    self._most = "max_completion_tokens"  # newer models of OpenAI know no other name
                    continue
                raise InputError(f"endpoint '{self.base_url}' refuses model '{self.model}': {_said(error)}") from None
            except openai.APIConnectionError as error:
                raise EndpointError(self._failed(str(error.__cause__ or error))) from None
            except (openai.APIError, *UNREADABLE) as error:
                fault = f"an answer that cannot be read ({' '.join(str(error).split())[:100]})"
        raise EndpointError(self._failed(fault))

    async def _once(self, client: Any, call: Call, most: str) -> Any:
        import asyncio

        body = {"model": self.model, **call.body}
        if call.kind == "chat":
            body[most] = body.pop("max_tokens")
            made = await client.chat.completions.with_raw_response.create(
                model=self.model, messages=body["messages"], extra_body=body
            )
        else:
            made = await client.completions.with_raw_response.create(
                model=self.model, prompt=body["prompt"], extra_body=body
            )
        left, reset = (made.headers.get(f"x-ratelimit-{name}-requests") for name in ("remaining", "reset"))
        if left == "0" and (pause := seconds(reset)):
            self._not_before = asyncio.get_running_loop().time() + pause
        return json.loads(made.text)

    async def _wait(self, pause: float) -> None:
        import asyncio

        left = self._not_before - asyncio.get_running_loop().time()
        if (pause := max(pause, left)) > 0:
            await asyncio.sleep(pause)

    def _failed(self, why: str) -> str:
        return f"endpoint '{self.base_url}' failed after {self.limits.retries} retries: {why}"


class Kept:
    """Answers of one model of one server on disk: a line each, written as they come."""

    def __init__(self, base_url: str, model: str) -> None:
        name = hashlib.sha256(f"{base_url}\n{model}".encode()).hexdigest()[:20]
        self.path = cache_folder() / "endpoints" / f"{name}.jsonl"
        self.answers: dict[str, dict[str, Any]] = {}
        self._whole = True
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8", errors="replace")
            self._whole = not text or text.endswith("\n")
            for line in text.split("\n"):
                try:
                    key, answer = json.loads(line, parse_constant=_refuse)
                    if isinstance(answer, dict) and isinstance(answer["usage"], dict) and not _lacking(answer):
                        self.answers[str(key)] = answer
                except UNREADABLE:
                    continue  # such as a line cut short when the process was killed: it is asked for again

    def add(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer: on disk, unless it says what the server lacks, which it may have when it is started anew."""
        self.answers[key] = answer
        if _lacking(answer):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if self._whole else "\n") + json.dumps([key, answer]) + "\n")
        self._whole = True


class EndpointWriter:
    """A model of a server that writes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def write(self, chats: Sequence[Sequence[tuple[str, str]]], lots: NDArray[np.float64]) -> list[Reply]:
        """Reply to every chat; the first of a reply's uniform numbers makes its seed, where the server takes one.

        Raises
        ------
        InputError, EndpointError
            As ``Endpoint.answers`` does.
        """
        calls = [
            Call(
                "chat",
                {
                    "messages": [{"role": role, "content": content} for role, content in chat],
                    "max_tokens": lots.shape[1],
                    "temperature": 1.0,
                    "top_p": 1.0,
                    "seed": int(row[0] * 2**31),
                },
            )
            for chat, row in zip(chats, lots, strict=True)
        ]
        return [Reply(a["text"], a["finished"]) for a in self.endpoint.answers(calls)]

    def varies(self) -> bool:
        """Whether replies to one question differ from seed to seed.

        Where they do not, the server decodes greedily, and what is known from its replies is no policy of the model's.
        Replies without a word tell nothing: the model may think first, where its server does not let it be read.
        """
        chat = [[("user", "Write any five words that come to mind.")]]
        replies = self.write(chat * PROBES, np.random.default_rng(0).random((PROBES, 16)))
        return len(set(replies)) > 1 or not replies[0].text.strip()

    def about(self) -> Mapping[str, Any]:
        """Return the server's address and what was used of it."""
        return self.endpoint.about()


def scored(endpoint: Endpoint, questions: Sequence[Question]) -> list[list[float]]:
    """Return each question's log-probability of every reply, summed over its tokens.

    The server is sent prompt and reply as tokens and asked to say them back with their log-probabilities.

    Raises
    ------
    InputError
        If the server gives no log-probabilities, and as ``Endpoint.answers`` does.
    EndpointError
        As that does.
    """
    asked = {"max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0.0}
    calls = [Call("completions", {"prompt": [[*q.prompt, *r] for r in q.replies], **asked}) for q in questions]
    out = []
    for q, answer in zip(questions, endpoint.answers(calls), strict=True):
        if answer["logprobs"] is None:
            raise InputError(f"endpoint '{endpoint.base_url}' gives no log-probabilities of a prompt")
        rows = zip(answer["logprobs"], q.replies, strict=True)
        out.append([sum(row[len(q.prompt) : len(q.prompt) + len(r)]) for row, r in rows])
    return out


def scores(endpoint: Endpoint, question: Question) -> bool:
    """Whether the server says back the log-probabilities of a question's replies.

    Raises
    ------
    EndpointError
        If it does not answer at all.
    """
    try:
        scored(endpoint, [question])
    except InputError:
        return False
    return True


def seconds(text: str | None) -> float:
    """Return a duration as rate limits are told in: ``1s``, ``6m0s``, ``120ms``, or a bare number; 0 for none."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
    return sum(float(n) * units[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text or ""))


def _chat(found: Any, call: Call) -> dict[str, Any]:
    choice = found["choices"][0]
    text = choice["message"].get("content")
    if text is not None and not isinstance(text, str):
        raise ValueError("no text")
    finished = choice["finish_reason"] == "stop"
    return {"text": text or "", "finished": finished, "usage": _usage(found)}


def _completions(found: Any, call: Call) -> dict[str, Any]:
    rows = []
    for choice, prompt in zip(sorted(found["choices"], key=lambda c: c["index"]), call.body["prompt"], strict=True):
        row = (choice.get("logprobs") or {}).get("token_logprobs")
        if row is None or len(row) < len(prompt):
            return {"logprobs": None, "usage": _usage(found)}
        rows.append([0.0, *(_logprob(x) for x in row[1 : len(prompt)])])  # the first token follows nothing
    return {"logprobs": rows, "usage": _usage(found)}


READERS: Mapping[str, Callable[[Any, Call], dict[str, Any]]] = {"chat": _chat, "completions": _completions}


def _lacking(answer: Mapping[str, Any]) -> bool:
    return "logprobs" in answer and answer["logprobs"] is None


def _logprob(found: Any) -> float:
    """Return a token's log-probability; servers that write -Infinity mean a token that cannot be."""
    value = float(found)
    if not value < 1:  # above 0 by rounding at most
        raise ValueError(f"the log-probability {value}")
    return max(value, IMPOSSIBLE)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _usage(found: Any) -> dict[str, int]:
    usage = found.get("usage") or {}
    return {name: int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")}


def _client(base_url: str, limits: Limits) -> Any:
    try:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient
    except ImportError:
        raise InputError(f"models behind an endpoint need the package openai: {INSTALL}") from None
    key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "none")

    async def said(answer: Any) -> None:
        if answer.status_code == ABSENT:
            answer.headers["x-should-retry"] = "false"  # the client repeats every 5xx that does not say so

    http = DefaultAsyncHttpxClient(event_hooks={"response": [said]})
    return AsyncOpenAI(
        base_url=base_url, api_key=key, max_retries=limits.retries, timeout=limits.timeout, http_client=http
    )


def _said(error: Any) -> str:
    message = re.sub(r"^Error code: \d+ - ", "", " ".join(str(error.message).split()))
    return f"{error.status_code}: {message[:200]}"


def _digest(call: Call) -> str:
    return hashlib.sha256(json.dumps([call.kind, call.body], sort_keys=True).encode()).hexdigest()[:32]


def _finish(coroutine: Any) -> None:
    """Run a coroutine to its end, also where an event loop runs already, as in a notebook."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()
