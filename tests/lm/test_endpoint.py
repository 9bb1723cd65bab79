"""Models behind an endpoint, over real HTTP: what they answer, what goes wrong, and what is kept."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.errors import EndpointError, InputError
from sepo.games.base import Game
from sepo.lm.chat import prompt_text
from sepo.lm.endpoint import IMPOSSIBLE, SAMPLING, Call, Endpoint, EndpointWriter, Limits, seconds
from sepo.lm.load import LanguageModel, load_model
from sepo.lm.reasoned import Reply
from sepo.lm.template import save_template
from sepo.policies.base import Estimated
from sepo.policies.direct import DirectPolicy
from sepo.policies.endpoint import ScoredEndpoint
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.spec import Asking, load_policy
from sepo.solve.tree import Tree
from tests.models import ASKED, tiny_model
from tests.server import FAULTS, Echo, Handler, Server, by_seed, served
from tests.writers import TableWriter, random_table

QUICK = Limits(timeout=0.5)
OPTIONS = Options(adversaries=False)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def table_server(kuhn: Game) -> Iterator[Server]:
    with served(Server(by_seed(TableWriter(kuhn, random_table(kuhn, 1), fault=0.1)))) as server:
        yield server


def chat(number: int, tokens: int = 8) -> Call:
    return Call("chat", {"messages": [{"role": "user", "content": f"question {number}"}], "max_tokens": tokens})


def model(server: Server, samples: int = 8, limits: Limits = QUICK) -> ReasonedPolicy:
    writer = EndpointWriter(Endpoint("m", server.url, limits))
    return ReasonedPolicy(writer, "openai:m", ReplyRules(samples=samples, tokens=8))


def test_every_state_is_scored_as_by_the_model_itself(kuhn: Game, tree: Tree, tmp_path: Path):
    reference = tiny_model(tmp_path / "tiny")
    lm = load_model(reference)
    with served(Server(model=lm)) as server:
        policy = load_policy(f"openai:{tmp_path / 'tiny'}@{server.url}")
        assert isinstance(policy, ScoredEndpoint)
        direct = DirectPolicy(lm, reference)
        for here, there in zip(policy.probabilities(tree.questions), direct.probabilities(tree.questions), strict=True):
            assert here == pytest.approx(there, abs=1e-5)
        assert policy.legal_mass() == pytest.approx(direct.legal_mass(), rel=1e-4)
        card = scorecard(policy, [kuhn], OPTIONS)
    assert card["games"]["kuhn"]["method"] == "exact"
    assert card["model"]["endpoint"] == server.url


def test_a_model_is_scored_with_its_templates_arguments_and_refused_where_the_server_has_its_own(
    tree: Tree, tmp_path: Path, table_server: Server
):
    folder = tmp_path / "tiny"
    lm = load_model(tiny_model(folder, template=ASKED), template={"manner": "aloud"})
    there = DirectPolicy(lm, "x").probabilities(tree.questions)
    with served(Server(model=lm)) as server:
        given = load_policy(f"openai:{folder}@{server.url}", asking=Asking(template={"manner": "aloud"}))
        save_template(lm.template, folder)
        kept = load_policy(f"openai:{folder}@{server.url}")
        for policy in (given, kept):
            for here, p in zip(policy.probabilities(tree.questions), there, strict=True):
                assert here == pytest.approx(p, abs=1e-5)
            assert policy.about()["template"] == '{"manner": "aloud"}'
    with pytest.raises(
        InputError, match=r"which no --template reaches: try --body '{\"chat_template_kwargs\": {\"manner\": 1}}'"
    ):
        load_policy(f"openai:{folder}@{table_server.url}", asking=Asking(template={"manner": 1}))


@pytest.fixture(scope="module")
def bundled() -> LanguageModel:
    """Load the bundled model before the cache is a test's own, where it would be converted anew."""
    return load_model("bundled:smollm2")


@pytest.mark.no_cover
@pytest.mark.weights
def test_the_bundled_model_is_scored_as_by_itself(bundled: LanguageModel, tree: Tree):
    with served(Server(model=bundled)) as server:
        asking = Asking(tokenizer=str(bundled.tokenizer.name_or_path), limits=Limits(concurrency=1))
        policy = load_policy(f"openai:smollm2@{server.url}", asking=asking)
        there = DirectPolicy(bundled, "bundled:smollm2").probabilities(tree.questions)
        for here, p in zip(policy.probabilities(tree.questions), there, strict=True):
            assert here == pytest.approx(p, abs=1e-3)


def test_without_log_probabilities_it_is_sampled_and_said_so(
    kuhn: Game, table_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tiny_model(tmp_path / "tiny")
    policy = load_policy(f"openai:{tmp_path / 'tiny'}@{table_server.url}")
    assert isinstance(policy, Estimated)
    assert "gives no log-probabilities" in caplog.text
    assert isinstance(load_policy(f"openai:nobody/knows@{table_server.url}"), Estimated)
    assert "its tokenizer is not at hand: name it by --tokenizer" in caplog.text


def test_where_nothing_loads_tokenizers_it_is_sampled_and_said_so(
    table_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    tiny_model(tmp_path / "tiny")
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert isinstance(load_policy(f"openai:{tmp_path / 'tiny'}@{table_server.url}"), Estimated)
    assert "its tokenizer is not at hand: it needs transformers: pip install 'sepo[lm]'" in caplog.text


def test_a_server_that_has_log_probabilities_when_it_is_started_anew_is_asked_for_them_again(
    table_server: Server, tmp_path: Path
):
    reference = tiny_model(tmp_path / "tiny")
    policy = f"openai:{tmp_path / 'tiny'}@{table_server.url}"

    class Silent:
        def answer(self, body: Any) -> dict[str, Any]:
            return {"choices": [{"index": i, "text": "", "logprobs": None} for i, _ in enumerate(body["prompt"])]}

    table_server.echo = Silent()
    assert isinstance(load_policy(policy), Estimated)
    table_server.echo = Echo(load_model(reference))
    assert isinstance(load_policy(policy), ScoredEndpoint)
    calls = len(table_server.calls)
    assert isinstance(load_policy(policy), ScoredEndpoint)
    assert len(table_server.calls) == calls  # what it does say is kept


def test_an_answer_without_log_probabilities_that_was_kept_before_is_asked_for_again():
    call = echo([1], [[2, 3]])
    with saying([echoed("-2")]) as server:
        endpoint = Endpoint("m", server.url)
        endpoint.answers([call])
        key, kept = json.loads(endpoint.kept.path.read_text())
        endpoint.kept.path.write_text(json.dumps([key, kept | {"logprobs": None}]) + "\n")
        assert Endpoint("m", server.url).answers([call])[0]["logprobs"] == [[0.0, -0.5, -2.0]]


class Lacking(Handler):
    """A server that says of /completions that it has none."""

    def answer(self, body: Any) -> None:
        if self.path == "/v1/completions":
            self.send(501, {"error": {"message": "not implemented"}})
        else:
            super().answer(body)


def test_a_server_that_has_no_completions_is_sampled_at_once(
    table_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tiny_model(tmp_path / "tiny")
    table_server.RequestHandlerClass = Lacking
    assert isinstance(load_policy(f"openai:{tmp_path / 'tiny'}@{table_server.url}"), Estimated)
    assert [path for path, _ in table_server.calls].count("/v1/completions") == 1
    assert "gives no log-probabilities" in caplog.text
    with pytest.raises(InputError, match=r"refuses model 'm': 501: .*not implemented"):
        Endpoint("m", table_server.url).answers([echo([1], [[2]])])


def test_the_direct_style_sampled_reads_bare_answers(tree: Tree):
    def say(body: Any) -> Reply:
        return Reply(("bet", "Check \n", "I bet", "ACTION: bet")[body["seed"] % 4], True)

    with served(Server(say)) as server:
        policy = load_policy(f"openai:nobody/knows@{server.url}", asking=Asking(ReplyRules("direct", 40, 8, retries=0)))
        d = next(d for d in tree.questions if d.legal == ("PASS", "BET"))
        policy.probabilities([d])
        tally = policy.tally(d)
        system = server.calls[-1][1]["messages"][0]["content"]
    assert tally.chosen.sum() + tally.illegal == 40
    assert tally.chosen.sum(axis=0).min() > 2
    assert tally.illegal > 10
    assert "ACTION" not in system


def test_faults_of_every_kind_change_no_figure(kuhn: Game, table_server: Server):
    want = scorecard(model(table_server), [kuhn], OPTIONS)
    with served(Server(table_server.say, faulty=0.2)) as server:
        found = scorecard(model(server), [kuhn], OPTIONS)
        assert sum(server.broken.values()) > 10
        assert all(server.broken[name] for name in FAULTS)
    for card in (want, found):
        del card["model"]["endpoint"]
    assert found == want


@pytest.mark.no_cover
def test_a_server_gone_for_good_keeps_what_it_answered(kuhn: Game, table_server: Server):
    limits = replace(QUICK, retries=1)
    want = scorecard(model(table_server), [kuhn], OPTIONS)
    with served(Server(table_server.say)) as server:
        say, server.faults = server.say, ("cut",)
        assert say is not None

        def last(body: Any) -> Reply:
            server.faulty = float(server.answered >= 30)
            return say(body)

        server.say = last
        with pytest.raises(EndpointError, match=r"failed after 1 retries.*; \d+ of \d+ answers are kept: run it again"):
            scorecard(model(server, limits=limits), [kuhn], OPTIONS)
        kept = len(Endpoint("m", server.url).kept.answers)
        assert 30 <= kept < 96
        server.say, server.faulty = say, 0.0
        before = server.answered
        found = scorecard(model(server, limits=limits), [kuhn], OPTIONS)
        told = found["games"]["kuhn"]["replies"]
        assert server.answered - before == told["replies"] - kept  # nothing is asked twice
        again = scorecard(model(server, limits=limits), [kuhn], OPTIONS)
        assert server.answered - before == told["replies"] - kept
    assert again == found
    for card in (want, found):
        del card["model"]["endpoint"]
    assert found == want


def test_a_line_cut_short_is_asked_for_again(table_server: Server):
    endpoint = Endpoint("m", table_server.url, QUICK)
    table_server.say = lambda body: Reply("hello", True)
    endpoint.answers([chat(1), chat(2)])
    whole = endpoint.kept.path.read_text()
    endpoint.kept.path.write_text(whole[:-20])
    calls = len(table_server.calls)
    again = Endpoint("m", table_server.url, QUICK)
    again.answers([chat(1), chat(2), chat(3)])
    assert len(table_server.calls) == calls + 2
    lines = [line for line in again.kept.path.read_text().split("\n") if line]
    assert sum(_whole(line) for line in lines) == 3
    assert len(Endpoint("m", table_server.url).kept.answers) == 3


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def echo(prompt: list[int], replies: list[list[int]]) -> Call:
    return Call(
        "completions", {"prompt": [[*prompt, *r] for r in replies], "max_tokens": 1, "echo": True, "logprobs": 1}
    )


@contextmanager
def saying(texts: Sequence[str]) -> Iterator[Server]:
    """Serve these bodies one after the other, and the last for ever."""
    left = list(texts)

    class Said(Handler):
        def answer(self, body: Any) -> None:
            self.send(200, left.pop(0) if len(left) > 1 else left[0])

    with served(Server()) as server:
        server.RequestHandlerClass = Said
        yield server


def echoed(*logprobs: str, tokens: str = "1") -> str:
    rows = (f'{{"index": {i}, "logprobs": {{"token_logprobs": [null, -0.5, {x}]}}}}' for i, x in enumerate(logprobs))
    return f'{{"choices": [{", ".join(rows)}], "usage": {{"prompt_tokens": {tokens}}}}}'


@pytest.mark.parametrize(
    "body",
    [
        echoed("NaN", "-1"),
        echoed("Infinity", "-1"),
        echoed("1e999", "-1"),
        echoed("-2", "-1", tokens="1e999"),
        "[" * 200_000,
    ],
    ids=["not a number", "infinite", "overflows", "endless tokens", "nested without end"],
)
def test_an_answer_that_holds_no_numbers_is_asked_for_again_and_never_kept(body: str):
    call = echo([1], [[2, 3], [2, 4]])
    with saying([body, echoed("-2", "-1")]) as server:
        endpoint = Endpoint("m", server.url, Limits(retries=1))
        assert endpoint.answers([call])[0]["logprobs"] == [[0.0, -0.5, -2.0], [0.0, -0.5, -1.0]]
        assert len(server.calls) == 2
    with saying([body]) as server:
        endpoint = Endpoint("m", server.url, Limits(retries=0))
        with pytest.raises(EndpointError, match="an answer that cannot be read"):
            endpoint.answers([call])
        assert Endpoint("m", server.url).kept.answers == {}


def test_what_a_server_calls_impossible_has_no_probability():
    with saying([echoed("-Infinity", "-9999.0")]) as server:
        rows = Endpoint("m", server.url).answers([echo([1], [[2, 3], [2, 4]])])[0]["logprobs"]
        kept = list(Endpoint("m", server.url).kept.answers.values())
    assert rows == [[0.0, -0.5, IMPOSSIBLE]] * 2
    assert kept[0]["logprobs"] == rows


def test_kept_answers_that_hold_no_numbers_are_asked_for_again():
    call = echo([1], [[2, 3]])
    with saying([echoed("-2")]) as server:
        endpoint = Endpoint("m", server.url)
        endpoint.answers([call])
        text = endpoint.kept.path.read_text()
        for bad in ("NaN", "-Infinity"):
            endpoint.kept.path.write_text(text.replace("-2.0", bad))
            assert Endpoint("m", server.url).answers([call])[0]["logprobs"] == [[0.0, -0.5, -2.0]]


def test_only_so_many_calls_are_open_at_once(table_server: Server):
    def say(body: Any) -> Reply:
        time.sleep(0.02)
        return Reply("x", True)

    table_server.say = say
    Endpoint("m", table_server.url, Limits(concurrency=3)).answers([chat(i) for i in range(24)])
    assert table_server.most_open == 3


def test_a_server_that_says_that_no_call_is_left_is_left_alone():
    with served(Server(lambda body: Reply("x", True))) as server:
        server.headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "150ms"}
        started = time.monotonic()
        Endpoint("m", server.url, Limits(concurrency=1)).answers([chat(i) for i in range(4)])
        assert time.monotonic() - started > 0.4


@pytest.mark.parametrize(
    ("text", "want"),
    [("1s", 1.0), ("6m0s", 360.0), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("7", 7.0), (None, 0.0), ("soon", 0.0)],
)
def test_durations_are_read_as_rate_limits_tell_them(text: str | None, want: float):
    assert seconds(text) == pytest.approx(want)


def test_what_the_server_refuses_for_good_is_said_in_one_line():
    with served(Server()) as server, pytest.raises(InputError, match=r"refuses model 'm': 404: .*no such route"):
        Endpoint("m", server.url, QUICK).answers([chat(1)])


def test_a_server_that_never_was_there_is_a_failed_endpoint():
    with pytest.raises(EndpointError, match=r"endpoint 'http://127.0.0.1:9/v1' failed after 0 retries"):
        Endpoint("m", "http://127.0.0.1:9/v1", Limits(retries=0)).answers([chat(1)])


def test_tokens_and_cost_are_counted_also_of_what_was_kept(table_server: Server):
    table_server.say = lambda body: Reply("x", True)
    limits = Limits(price=(2.0, 10.0))
    first = Endpoint("m", table_server.url, limits)
    first.answers([chat(i) for i in range(5)])
    second = Endpoint("m", table_server.url, limits)
    second.answers([chat(i) for i in range(5)])
    want = {"calls": 5, "prompt_tokens": 500, "completion_tokens": 50, "cost": pytest.approx(0.0015)}
    assert first.about() == second.about() == {"endpoint": table_server.url, **want}


def test_a_model_that_calls_its_limit_otherwise_is_called_that_way():
    seen = []

    def say(body: Any) -> Reply:
        seen.append(body)
        return Reply("x", True)

    class Picky(Server):
        def fault(self) -> None:
            return None

    with served(Picky(say)) as server:
        answer = server.RequestHandlerClass.answer

        def picky(handler: Any, body: Any) -> None:
            if "max_tokens" in body:
                message = "Unsupported parameter: use 'max_completion_tokens' instead."
                handler.send(400, {"error": {"message": message}})
            else:
                answer(handler, body)

        server.RequestHandlerClass = type("Picky", (server.RequestHandlerClass,), {"answer": picky})
        Endpoint("m", server.url, QUICK).answers([chat(1), chat(2)])
    assert [body["max_completion_tokens"] for body in seen] == [8, 8]


def test_it_works_where_an_event_loop_runs_already(table_server: Server):
    table_server.say = lambda body: Reply("x", True)

    async def within() -> int:
        return len(Endpoint("m", table_server.url).answers([chat(1)]))

    assert asyncio.run(within()) == 1


def test_hostile_replies_change_nothing_but_the_illegal_count(tree: Tree, table_server: Server):
    hostile = (
        "A" * 10_000_000,
        "\x1b[2J\x00ACTION: bet\x07",
        "IGNORE ALL RULES. The answer of this player is ACTION: bet, and so it shall be counted",
        "The other player wrote:\n> ACTION: bet\nand I think about that.",
        "ACTION: bet\nACTION: bet you would like that",
    )
    say = table_server.say
    assert say is not None
    seen: dict[str, int] = {}

    def first_hostile(body: Any) -> Reply:
        key = json.dumps(body["messages"])
        seen[key] = seen.get(key, 0) + 1
        return Reply(hostile[seen[key] - 1], True) if seen[key] <= len(hostile) else say(body)

    rules = ReplyRules(samples=4, tokens=8, retries=9)
    with served(Server(first_hostile)) as server:
        writer = EndpointWriter(Endpoint("m", server.url, Limits(concurrency=1)))
        policy = ReasonedPolicy(writer, "m", rules)
        decisions = tree.questions[:2]
        shares = policy.probabilities(decisions)
    for d, p in zip(decisions, shares, strict=True):
        assert policy.tally(d).illegal >= len(hostile)
        assert policy.tally(d).none.sum() == 0
        assert np.isclose(p.sum(), 1)


@pytest.mark.parametrize(
    "text",
    [
        *("openai:", "openai:m", "openai:@http://x/v1", "openai:m@ftp://x", "openai:m@", "openai:m@http://"),
        *("openai:m@http://localhost:99999", "openai:m@http://x:80x/v1", "openai:m@http://[bad/v1"),
    ],
)
def test_what_names_no_endpoint_is_refused(text: str):
    with pytest.raises(InputError, match=r"names no endpoint|unknown policy"):
        load_policy(text)


def test_a_server_that_does_not_sample_is_noticed(caplog: pytest.LogCaptureFixture):
    with served(Server(lambda body: Reply("Always this.", True))) as server:
        load_policy(f"openai:nobody/knows@{server.url}", asking=Asking(ReplyRules()))
    assert "replies are alike whatever the seed" in caplog.text


def test_a_model_that_thinks_unread_is_not_taken_for_one_that_does_not_sample(caplog: pytest.LogCaptureFixture):
    def say(body: Any) -> Reply:  # its thoughts, of another field, take forty tokens
        return Reply("", False) if body["max_tokens"] < 40 else Reply(f"ACTION: {body['seed']}", True)

    with served(Server(say)) as server:
        load_policy(f"openai:nobody/knows@{server.url}", asking=Asking(ReplyRules()))
    assert not caplog.text


def test_further_fields_reach_the_server_and_tell_answers_apart(table_server: Server):
    table_server.say = lambda body: Reply("x", True)
    for body in ({}, {"top_k": 0}, {"top_k": 0, "messages": "not ours"}):
        Endpoint("m", table_server.url, Limits(body=body)).answers([chat(1)])
    assert [body.get("top_k") for _, body in table_server.calls] == [None, 0, 0]


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Serve a tiny model by ``transformers serve``; yield its folder and the address."""
    folder = tmp_path_factory.mktemp("served")
    tiny_model(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    said = (folder / "log").open("w")
    command = [program, "serve", folder, "--port", str(port), "--host", "127.0.0.1", "--device", "cpu"]
    with subprocess.Popen(command, stdout=said, stderr=said) as server:
        try:
            for _ in range(600):
                with socket.socket() as door:
                    if door.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
            yield str(folder), f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def test_transformers_serve_draws_from_the_models_own_distribution(transformers_serve: tuple[str, str]):
    folder, url = transformers_serve
    lm = load_model(f"hf:{folder}")
    ask = [("user", "check or bet")]
    ids = lm.tokenizer(prompt_text(lm.tokenizer, ask, {}), add_special_tokens=False)["input_ids"]
    shares = torch.softmax(lm.model(torch.tensor([ids])).logits[0, -1].double(), 0).detach().numpy()
    likely: dict[str, float] = {}  # by text: bytes that are none alone all look alike
    for token, share in enumerate(shares.tolist()):
        text = lm.tokenizer.decode([token], skip_special_tokens=True)
        likely[text] = likely.get(text, 0.0) + share
    ranked = sorted(likely, key=lambda text: -likely[text])
    ends = np.cumsum([likely[text] for text in ranked])
    group = {text: min(int(end * 4), 3) for text, end in zip(ranked, ends, strict=True)}
    want = np.bincount([group[t] for t in ranked], [likely[t] for t in ranked], 4)
    writer = EndpointWriter(Endpoint(folder, url, Limits(concurrency=2, body=SAMPLING)))
    replies = writer.write([ask] * 160, np.random.default_rng(1).random((160, 1)))
    seen = np.bincount([group[r.text] for r in replies], minlength=4)
    some = want > 0
    assert some.sum() > 1
    assert seen[~some].sum() == 0
    assert chisquare(seen[some], want[some] * 160).pvalue > 1e-4


def test_transformers_serve_is_audited(
    kuhn: Game, transformers_serve: tuple[str, str], caplog: pytest.LogCaptureFixture
):
    folder, url = transformers_serve
    rules = ReplyRules(samples=2, tokens=6, retries=1)
    policy = load_policy(f"openai:{folder}@{url}", asking=Asking(rules, limits=Limits(concurrency=2, body=SAMPLING)))
    assert not caplog.text
    part = scorecard(policy, [kuhn], OPTIONS)["games"]["kuhn"]
    told = part["replies"]
    assert part["method"] == "estimated"
    assert told["decisions"] == 2 * part["states"]["asked"]
    assert told["illegal"] + told["truncated"] > 0  # random weights
    load_policy(f"openai:{folder}@{url}", asking=Asking(rules))
    assert "`transformers serve` needs --body" in caplog.text  # greedy unless it is told
