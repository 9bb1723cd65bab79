"""What the functions answer is what the commands answer, whatever form policies and games come in."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from sepo import api
from sepo.errors import ContractError, InputError
from sepo.games.contract import check
from sepo.games.registry import make
from sepo.play.episode import stepped
from sepo.policies.function import FunctionPolicy
from sepo.policies.script import ScriptPolicy, opponent
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from tests.models import CHATML, tiny_model
from tests.small_games import Stakes


@dataclass
class Loose(Stakes):
    """A game that cannot be hashed."""

    size: int = 1


class Listed:
    """A policy that answers with lists."""

    name = "listed"

    def __init__(self, answer=None):
        self.answer = answer

    def probabilities(self, decisions):
        return [self.answer or [1 / len(d.legal)] * len(d.legal) for d in decisions]

    def legal_mass(self):
        return None

    def about(self):
        return {}


def test_answers_may_be_lists_of_numbers():
    one, other = (api.audit(policy, "kuhn").figure("kuhn", "exploitability") for policy in (Listed(), "uniform"))
    assert one == other


def test_one_name_is_one_opponent():
    one, other = (api.audit("uniform", "kuhn", opponents=names).games for names in ("nash", ["nash"]))
    assert one == other


def test_audit_answers_as_the_command_does(sepo):
    assert api.audit("script:nash").document == sepo("audit", "script:nash", "--json").document
    command = ("audit", "uniform", "-g", "ipd", "--rule", "rounds=3", "--measures", "sepo", "--json")
    assert api.audit("uniform", "ipd", rules={"rounds": 3}, measures="sepo").document == sepo(*command).document


def test_sampled_audits_are_seeded_as_the_command_is(sepo):
    asked = ("--method", "sampled", "--episodes", "40", "--seed", "7", "--opponent", "uniform", "--json")
    given = {"method": "sampled", "episodes": 40, "seed": 7, "opponents": ["uniform"]}
    command = sepo("audit", "script:nash", "-g", "kuhn", *asked)
    assert api.audit("script:nash", "kuhn", **given).document == command.document
    assert api.audit("script:nash", "kuhn", **given) != api.audit("script:nash", "kuhn", **given | {"seed": 8})


@pytest.mark.parametrize("objective", ["payoff", "difference"])
def test_tables_are_those_of_the_commands(sepo, tmp_path, objective):
    sepo("elicit", "script:tight_passive", "-g", "kuhn", "--out", tmp_path / "own.json")
    sepo("exploit", "uniform", "-g", "kuhn", "--objective", objective, "--out", tmp_path / "best.json")
    own, best = (json.loads((tmp_path / name).read_text()) for name in ("own.json", "best.json"))
    assert api.elicit("script:tight_passive", "kuhn").document() == own
    assert api.exploit("uniform", "kuhn", objective=objective).document() == best


@pytest.mark.parametrize(
    ("given", "asked"),
    [({}, ()), ({"weights": (2, 0, 0)}, ("--lambda", "2,0,0")), ({"weights": {"e": 2}}, ("--lambda", "2,0,0"))],
)
def test_ceilings_are_those_of_the_command(sepo, tmp_path, given, asked):
    command = sepo("solve", "kuhn", *asked, "--json", "--out", tmp_path / "t.json")
    found = api.solve("kuhn", **given)
    found.save(tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text()) == found.document
    assert found.document == command.document
    assert found.table.document() == json.loads((tmp_path / "t.json").read_text())
    assert command.document["J"] == found.J <= found.bound


def test_matches_and_comparisons_are_those_of_the_commands(sepo, tmp_path):
    names = ["uniform", "script:nash", "script:tight_passive"]
    assert api.match(names, "kuhn").document == sepo("match", *names, "-g", "kuhn", "--json").document
    sampled = sepo("match", *names, "-g", "kuhn", "--method", "sampled", "--deals", "30", "--seed", "2", "--json")
    assert api.match(names, "kuhn", method="sampled", deals=30, seed=2).document == sampled.document
    for name, file in zip(names, ("a.json", "b.json"), strict=False):
        api.audit(name, "kuhn").save(tmp_path / file)
    command = sepo("compare", tmp_path / "a.json", tmp_path / "b.json", "--json")
    found = api.compare(tmp_path / "a.json", tmp_path / "b.json")
    assert found.document == command.document
    cards = [api.load_scorecard(tmp_path / file) for file in ("a.json", "b.json")]
    assert api.compare(*cards).said == found.said == tuple(v["said"] for v in command.document["verdicts"])
    several = api.compare(*cards, api.audit(names[2], "kuhn"))
    assert several.document["comparisons"][0]["summary"] == found.summary
    assert set(several.frame()["to"]) == set(names[1:])


def script(decision):
    """Play the script ``nash``, as an agent of somebody's own."""
    return opponent(make("kuhn"), "nash").script(decision)


def as_sequence(decision):
    answer = script(decision)
    return np.array([answer.get(action, 0) for action in decision.legal])


@pytest.mark.parametrize("agent", [script, as_sequence, make("kuhn").opponents["nash"]])
def test_a_function_that_plays_as_a_script_has_its_figures(agent):
    ours, theirs = api.audit(agent, "kuhn").games["kuhn"], api.audit("script:nash", "kuhn").games["kuhn"]
    assert ours == theirs
    assert api.exploit(agent, "kuhn").table == api.exploit("script:nash", "kuhn").table


def test_a_function_is_exact_in_large_games_too_and_asked_once_at_each_state():
    asked = []

    def forgiving(decision):
        asked.append((decision.game, decision.key))
        return "COOPERATE"

    found = api.audit(forgiving, "ipd", measures="sepo").games["ipd"]
    assert found["method"] == "exact"
    assert found["measures"] == api.audit("script:always_cooperate", "ipd", measures="sepo").games["ipd"]["measures"]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("RAISE", "'RAISE' is no legal action; legal are PASS, BET"),
        ({"BET": 0.5, "RAISE": 0.5}, "'RAISE' is no legal action"),
        ([1.0], "1 probabilities for 2 legal actions"),
        ({"BET": 0.5}, "probabilities sum to 0.5"),
        ({"BET": 1.5, "PASS": -0.5}, "must be finite and not negative"),
        (None, "must be finite|not None|probabilities for 2"),
        (object(), "a probability for each action or one action"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_the_state(answer, said):
    with pytest.raises(ContractError, match=said) as error:
        api.audit(lambda decision: answer, "kuhn")
    assert "policy 'function:<lambda>' at information state '" in str(error.value)


def test_tables_come_as_rows_documents_files_and_themselves(tmp_path):
    table = api.elicit("script:nash", "kuhn")
    table.save(tmp_path / "t.json")
    forms = [table, dict(table.table), table.document(), tmp_path / "t.json", f"table:{tmp_path}/t.json"]
    cards = [api.audit(form, "kuhn").games for form in forms]
    assert all(card == cards[0] for card in cards)
    with pytest.raises(InputError, match="rows of a policy table are of one game"):
        api.audit(dict(table.table))
    with pytest.raises(InputError, match="at information state 'J:': probabilities sum to"):
        api.load_policy({"J:": {"BET": np.float32(0.5)}}, "kuhn")


def test_a_game_that_no_package_has_is_audited_solved_and_played():
    game = Stakes()
    card = api.audit("uniform", game)
    assert list(card.games) == [game.name]
    thief = api.exploit("uniform", game)
    assert api.audit(thief, game).games[game.name]["method"] == "exact"
    assert len(api.play(thief, "uniform", game, episodes=3)) == 3
    with pytest.raises(InputError, match="keeps its rules"):
        api.audit("uniform", game, rules={"rounds": 2})


def test_rows_are_of_the_game_by_the_rules_that_are_given():
    rules = {"rounds": 2}
    table = api.elicit("script:tit_for_tat", "ipd", rules=rules)
    assert api.audit(dict(table.table), "ipd", rules=rules).games == api.audit(table, "ipd", rules=rules).games
    rows = api.elicit("script:truthful", "auction", rules=rules).table
    found = api.audit(dict(rows), "auction", rules=rules, adversaries=False).games["auction"]
    assert (found["rules"], "rules_by_measures" in found) == ({"rounds": 2, "overbid_loss": True}, False)
    with pytest.raises(InputError, match="unknown rule 'round'"):
        api.audit(dict(table.table), "ipd", rules={"round": 2})


def short(rounds):
    return api.load_game("ipd", rules={"rounds": rounds})


def test_one_game_that_is_named_twice_is_audited_as_one():
    assert api.audit("uniform", ["kuhn", make("kuhn"), "kuhn"]).games == api.audit("uniform", "kuhn").games


def test_numpys_seeds_and_flags_are_python_s_in_what_is_saved(tmp_path):
    file, seed, no = tmp_path / "saved.json", np.int64(3), np.bool_(False)
    given = {"method": "sampled", "episodes": 4, "measures": "sepo"}
    card = api.audit("uniform", "kuhn", seed=seed, control=no, adversaries=no, **given)
    card.save(file)
    asked = api.audit("uniform", "kuhn", seed=3, control=False, adversaries=0, **given)
    assert api.load_scorecard(file).document == card.document == asked.document
    ask = {"method": "sampled", "deals": 4}
    met = api.match(["uniform", "script:nash"], "kuhn", seed=seed, **ask)
    met.save(file)
    assert json.loads(file.read_text()) == api.match(["uniform", "script:nash"], "kuhn", seed=3, **ask).document
    assert api.play("uniform", "uniform", "kuhn", seed=seed) == api.play("uniform", "uniform", "kuhn", seed=3)
    assert api.audit("uniform", "kuhn", seed=-1).document["seed"] == -1  # as on the command line


def test_a_scorecard_says_how_its_model_was_asked_so_that_its_card_holds(tmp_path, monkeypatch, sepo):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    asked = "{% if manner is defined %}{{ manner }} {% endif %}" + CHATML
    model = tiny_model(tmp_path / "model", template=asked)
    found = {}
    ways = {
        "plain": {},
        "low": {"template": {"manner": "low"}},
        "written": {"style": "reasoned", "samples": 2, "tokens": 4},
    }
    for name, way in ways.items():
        card = found[name] = api.audit(api.load_policy(model, **way), "kuhn", adversaries=False)
        assert {k: card.document["options"]["asking"][k] for k in way} == way
        card.save(tmp_path / f"{name}.json")
        assert sepo("card", str(tmp_path / f"{name}.json"), "--out", str(tmp_path / name)).code == 0
        assert sepo("verify", str(tmp_path / name / "safety-card.json")).code == 0
    assert len({card.figure("kuhn", "J").value for card in found.values()}) == 3
    twice = api.audit(api.load_policy(model, seed=3, **ways["written"]), "kuhn", adversaries=False)
    twice.save(tmp_path / "twice.json")
    refused = sepo("card", str(tmp_path / "twice.json"))
    assert refused.code == 2
    assert "replies were drawn by seed 3, all else by seed 0" in refused.err


def test_a_table_of_numpys_numbers_is_audited_and_saved(tmp_path):
    game = make("kuhn")
    rows = {d.key: {a: np.float32(1 / len(d.legal)) for a in d.legal} for d in expand(game).questions}
    mass = {key: np.float32(0.5) for key in rows}
    given = PolicyTable("numpy", "kuhn", game.rules, rows, mass=mass)
    given.save(tmp_path / "numpy.json")
    (card, again) = (api.audit(policy, "kuhn") for policy in (given, f"table:{tmp_path / 'numpy.json'}"))
    assert card.document["fingerprint"] == again.document["fingerprint"]
    assert card.figure("kuhn", "legal_mass").value == pytest.approx(0.5)


def test_episodes_against_a_policy_are_those_against_the_script():
    game = make("kuhn")
    found = api.play("script:nash", "script:tight_passive", "kuhn", episodes=20, seed=4)
    ours = ScriptPolicy("script:nash", "nash")
    assert list(found) == [
        {**record, "opponent": "script:tight_passive"}
        for record in stepped(ours, game, opponent(game, "tight_passive"), 20, ("play", 4, "kuhn"))
    ]
    assert found != api.play("script:nash", "script:tight_passive", "kuhn", episodes=20, seed=5)
    rows = found.frame()
    assert len(rows) == 20 * game.hands
    assert rows["own"].sum() == sum(record["own"] for record in found)
    assert list(found.moves()["action"]) == [m["action"] for e in found for h in e["hands"] for m in h["moves"]]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: api.audit("script:nobody", "kuhn"), "unknown script 'nobody'"),
        (lambda: api.audit("nash", "kuhn"), "unknown policy 'nash'"),
        (lambda: api.audit(3, "kuhn"), "not int"),
        (lambda: api.audit("uniform", "chess"), "unknown game 'chess'"),
        (lambda: api.audit("uniform", 3), "a game is a name or a Game, not int"),
        (lambda: api.audit("uniform", [3]), "a game is a name or a Game, not int"),
        (lambda: api.audit("uniform", [short(2), short(3)]), "two different games are called 'ipd'"),
        (lambda: api.audit("uniform", ["ipd", short(3)]), "two different games are called 'ipd'"),
        (lambda: api.audit("uniform", []), "an audit takes at least one game"),
        (lambda: api.audit("uniform", "kuhn", seed="x"), "seed must be a whole number, not 'x'"),
        (lambda: api.audit("uniform", "kuhn", seed=1.5), "seed must be a whole number, not 1.5"),
        (lambda: api.audit("uniform", "kuhn", control="no"), "control must be True or False, not 'no'"),
        (lambda: api.audit("uniform", "kuhn", adversaries=None), "adversaries must be True or False, not None"),
        (lambda: api.match(["uniform", "script:nash"], "kuhn", seed=True), "seed must be a whole number, not True"),
        (lambda: api.play("uniform", "uniform", "kuhn", seed=None), "seed must be a whole number, not None"),
        (lambda: api.elicit("uniform", "kuhn", seed="x"), "seed must be a whole number, not 'x'"),
        (lambda: api.exploit("uniform", "kuhn", seed="x"), "seed must be a whole number, not 'x'"),
        (lambda: api.load_policy("uniform", seed="x"), "seed must be a whole number, not 'x'"),
        (lambda: api.elicit("uniform", "kuhn").save(None), "a file or folder is text or a path, not NoneType"),
        (lambda: api.elicit("uniform", "kuhn").save(b"t.json"), "a file or folder is text or a path, not bytes"),
        (lambda: api.audit("uniform", "kuhn", measures="all"), "unknown set of measures 'all'"),
        (lambda: api.audit("uniform", "kuhn", method="fast"), "unknown method 'fast'"),
        (lambda: api.audit("uniform", "kuhn", episodes=1), "episodes must be a whole number of at least 2, not 1"),
        (lambda: api.audit("uniform", "kuhn", budget=0.5), "budget must be"),
        (lambda: api.audit("uniform", "kuhn", half_width=0), "half_width must be a positive number"),
        (lambda: api.audit("uniform", "kuhn", opponents=["me"]), "unknown script 'me'"),
        (lambda: api.elicit("uniform", "kuhn", budget=0), "budget must be"),
        (lambda: api.exploit("uniform", "kuhn", objective="money"), "unknown objective 'money'"),
        (lambda: api.solve("kuhn", "both"), "unknown measures 'both'"),
        (lambda: api.audit("uniform", "kuhn", opponents=None), "opponents must be a list of them, not None"),
        (lambda: api.audit("uniform", "kuhn", opponents=[min]), "opponents must be names, not <built-in function min>"),
        (lambda: api.audit("uniform", "kuhn", opponents="nobody"), "unknown script 'nobody'"),
        (lambda: api.audit("uniform", "kuhn", rules=5), "rules must be a mapping, such as {'name': value}, not 5"),
        (lambda: api.audit("uniform", Loose()), "game 'stakes' cannot be hashed: a dataclass must be frozen"),
        (lambda: check(Loose()), "game 'stakes' cannot be hashed: a dataclass must be frozen"),
        (lambda: api.match(5, "kuhn"), "policies must be a list of them, not 5"),
        (lambda: api.match("uniform", "kuhn"), "two"),
        (lambda: api.load_game("ipd", rules=5), "rules must be a mapping"),
        (lambda: api.load_game(5), "a game's name is text, not int"),
        (lambda: api.load_policy("uniform", body=5), "body must be a mapping"),
        (lambda: api.load_policy("uniform", template=5), "template must be a mapping"),
        (lambda: api.train({"name": "a", "game": "kuhn"}, settings=["a=1"]), "settings must be a mapping"),
        (lambda: api.audit(Listed("x"), "kuhn"), "policy 'listed' must answer each decision with probabilities"),
        (lambda: api.solve("kuhn", weights={"z": 1}), "weights are three numbers"),
        (lambda: api.solve("kuhn", weights=(1, -1, 0)), "weights are three numbers"),
        (lambda: api.solve("ipd", worst_case="x"), "worst_case must be a number of points per round, not 'x'"),
        (lambda: api.solve("ipd", worst_case=True), "worst_case must be a number of points per round, not True"),
        (lambda: api.compare(api.audit("uniform", "kuhn"), 3), "a file or folder is text or a path, not int"),
        (lambda: api.load_scorecard(None), "a file or folder is text or a path, not NoneType"),
        (lambda: api.match(["uniform"], "kuhn"), "at least two policies"),
        (lambda: api.match(["uniform", "script:nash"], "kuhn").payoff("me", "uniform"), "'me' did not play"),
        (lambda: api.play("uniform", "uniform", "kuhn", episodes=0), "episodes must be"),
        (lambda: api.load_policy("bundled:smollm2", style="loud"), "unknown style 'loud'"),
        (lambda: api.load_scorecard("nowhere.json"), "no scorecard at 'nowhere.json'"),
        (lambda: api.audit("uniform", "kuhn").figure("ipd", "J"), "has no game 'ipd': it has kuhn"),
        (lambda: api.audit("uniform", "kuhn").figure("kuhn", "j"), "has no figure 'j': paper.u"),
        (lambda: api.audit("uniform", "kuhn").frame("excel"), "it is pandas or polars"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(ask, said):
    with pytest.raises(InputError, match=said) as error:
        ask()
    assert "\n" not in str(error.value)


def test_a_function_keeps_its_name_or_gets_one():
    assert api.load_policy(script).name == "function:script"
    assert api.load_policy(script, name="mine").name == "mine"
    assert isinstance(api.load_policy(script), FunctionPolicy)
