"""What a reason claims, looked up in its prompt: nothing here knows how the games write or what their views hold.

A prompt is read back into what it says happened. A sentence must have one of the forms listed for its demonstrator;
each form says which facts it claims, in terms of the prompt, and which action those facts imply under the
demonstrator's rule as the specification words it. A form that claims chance implies no action.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

NUMBER = {"low": 1, "medium": 2, "high": 3}
RANK = {"jack": 1, "queen": 2, "king": 3}
ITEMS = ("book", "hat", "ball")


class Seen(NamedTuple):
    """What a prompt says: own and their actions so far, as words, and what holds now."""

    own: tuple[str, ...]
    other: tuple[str, ...]
    now: dict[str, Any]


def read(game: str, prompt: Sequence[dict[str, str]]) -> Seen:
    """Read a prompt of either style."""
    own = tuple(turn["content"].removeprefix("ACTION: ") for turn in prompt if turn["role"] == "assistant")
    told = "\n".join(turn["content"] for turn in prompt if turn["role"] == "user")
    last = prompt[-1]["content"]

    def found(pattern: str) -> tuple[str, ...]:
        return tuple(re.findall(pattern, told))

    match game:
        case "ipd":
            return Seen(
                own, tuple({"cooperated": "cooperate", "defected": "defect"}[w] for w in found(r"They (\w+)")), {}
            )
        case "auction":
            name = dict(zip("123", NUMBER, strict=True))
            pairs = re.findall(r"you (\d), they (\d)", told)
            value = re.search(r"your value is (\d)", last)
            assert value is not None
            return Seen(tuple(name[a] for a, _ in pairs), tuple(name[b] for _, b in pairs), {"value": int(value[1])})
        case "split":
            return Seen(own, found(r"They demanded (\d)"), {})
        case "items":
            pool = re.search(r"Pool: (\d) books?, (\d) hats?, (\d) balls?", told)
            values = re.search(r"Your values: book (\d+), hat (\d+), ball (\d+)", told)
            assert pool is not None
            assert values is not None
            deals = found(r"They demanded [\d ]+: (deal|no deal)")
            now = {"pool": numbers(*pool.groups()), "values": numbers(*values.groups()), "deals": deals}
            return Seen(own, found(r"They demanded ([\d ]+):"), now)
        case "kuhn":
            card = re.search(r"You hold the (\w+)", told)
            assert card is not None
            did = re.findall(r"They (check|bet)|(You start)", last)
            return Seen(own, (), {"card": card[1], "did": did[0][0] or "start"})
        case "commons":
            return Seen(own, found(r"They took (\w+)"), {"stock": int(found(r"Stock (\d+)")[-1])})
    raise AssertionError(game)


def numbers(*texts: str) -> tuple[int, ...]:
    return tuple(map(int, texts))


def vector(text: str) -> tuple[int, ...]:
    return numbers(*text.split())


class Form(NamedTuple):
    """A form of sentence: who may say it, its pattern, whether it is true, and what it implies (None: chance).

    Groups of the pattern are the arguments after ``Seen``; the last, ``do``, is the action that the sentence ends in.
    """

    speakers: tuple[str, ...]
    pattern: str
    true: Callable[..., bool]
    implies: Callable[..., str] | None


def first(seen: Seen) -> bool:
    return not seen.other


def rest(pool: Sequence[int], asked: Sequence[int]) -> tuple[int, ...]:
    return tuple(n - a for n, a in zip(pool, asked, strict=True))


def spelt(demand: Sequence[int]) -> str:
    return " ".join(map(str, demand))


def half(seen: Seen, how: str) -> tuple[int, ...]:
    return tuple(n // 2 if how == "down" else -(-n // 2) for n in seen.now["pool"])


PAST = {"cooperated": "cooperate", "defected": "defect"}
PAY = {("cooperate", "cooperate"): 3, ("cooperate", "defect"): 0, ("defect", "cooperate"): 5, ("defect", "defect"): 1}
CHANCE = r"I pick at random, and this time it is (?P<do>.+)\."
HOLD = r"(I start|They checked|They bet) and (?:I )?hold the (jack|queen|king), "
DID = {"I start": "start", "They checked": "check", "They bet": "bet"}


def held(seen: Seen, did: str, card: str) -> bool:
    return seen.now == {"card": card, "did": DID[did]}


def bold(did: str) -> str:
    return "call" if DID[did] == "bet" else "bet"


def meek(did: str) -> str:
    return "fold" if DID[did] == "bet" else "check"


ODDS = {  # times in how many that a card is bet or called on; never or always where it is not named
    "nash_approx": {("jack", "bet"): (1, 3), ("queen", "call"): (1, 3)},
    "tight_value": {("queen", "call"): (1, 2)},
    "pot_control": {("jack", "bet"): (1, 5)},
    "uniform": {(card, act): (1, 2) for card in RANK for act in ("bet", "call")},
    "never_bluff": {},
}

FORMS: dict[str, list[Form]] = {
    "ipd": [
        Form(
            ("tit_for_tat", "grim_trigger", "generous_tit_for_tat"),
            r"It is the first round, so I (?P<do>\w+)\.",
            first,
            lambda s: "cooperate",
        ),
        Form(
            ("tit_for_tat", "generous_tit_for_tat"),
            r"They (cooperated) last round, so I (?P<do>\w+) this time\.",
            lambda s, did: s.other[-1] == PAST[did],
            lambda s, did: "cooperate",
        ),
        Form(
            ("tit_for_tat",),
            r"They (defected) last round, so I (?P<do>\w+) this time\.",
            lambda s, did: s.other[-1] == PAST[did],
            lambda s, did: "defect",
        ),
        Form(
            ("generous_tit_for_tat",),
            r"They defected last round, which I forgive 1 time in 4 at random, and this time I (?P<do>\w+)\.",
            lambda s: s.other[-1] == "defect",
            None,
        ),
        Form(
            ("grim_trigger",),
            r"They have never defected, so I (?P<do>\w+)\.",
            lambda s: "defect" not in s.other,
            lambda s: "cooperate",
        ),
        Form(
            ("grim_trigger",),
            r"They defected in round (\d+), so I (?P<do>\w+)\.",
            lambda s, n: s.other.index("defect") + 1 == int(n),
            lambda s, n: "defect",
        ),
        Form(
            ("always_defect",),
            r"If they cooperate defecting pays (\d) instead of (\d), and if they defect (\d) instead of (\d), "
            r"so I (?P<do>\w+) in every round\.",
            lambda s, t, r, p, k: (
                numbers(t, r, p, k)
                == tuple(PAY[own, other] for other in ("cooperate", "defect") for own in ("defect", "cooperate"))
            ),
            lambda s, t, r, p, k: "defect" if t > r and p > k else "",
        ),
        Form(
            ("always_cooperate",),
            r"No outcome pays both together more than (\d) points each, so I (?P<do>\w+) in every round\.",
            lambda s, n: max(PAY[a, b] + PAY[b, a] for a, b in PAY) == 2 * int(n),
            lambda s, n: "cooperate",
        ),
        Form(("uniform",), CHANCE, lambda s: True, None),
    ],
    "auction": [
        Form(
            ("value_bid",),
            r"My value is (\d) and half of it is (\d), so I bid (?P<do>\w+)\.",
            lambda s, v, h: s.now["value"] == int(v) == 2 * int(h),
            lambda s, v, h: next(word for word, n in NUMBER.items() if n == int(h)),
        ),
        Form(
            ("aggressive_value", "adaptive_value"),
            r"My value is (2) and only low gains something if it wins, so I bid (?P<do>\w+)\.",
            lambda s, v: s.now["value"] == int(v) and [b for b, n in NUMBER.items() if int(v) > n] == ["low"],
            lambda s, v: "low",
        ),
        Form(
            ("aggressive_value",),
            r"My value is (4) and even high gains something if it wins, so I bid (?P<do>\w+)\.",
            lambda s, v: s.now["value"] == int(v) > NUMBER["high"],
            lambda s, v: "high",
        ),
        Form(
            ("adaptive_value",),
            r"My value is 4 and I have seen no bid of theirs, so I bid (?P<do>\w+)\.",
            lambda s: s.now["value"] == 4 and first(s),
            lambda s: "medium",
        ),
        Form(
            ("adaptive_value",),
            r"My value is 4 and their bids sum to (\d+) in (\d) rounds?, (at least|less than) 2\.5 a round, "
            r"so I bid (?P<do>\w+)\.",
            lambda s, total, n, side: (
                (s.now["value"], len(s.other)) == (4, int(n))
                and sum(NUMBER[b] for b in s.other) == int(total)
                and (Fraction(int(total), int(n)) >= Fraction(5, 2)) == (side == "at least")
            ),
            lambda s, total, n, side: "high" if side == "at least" else "medium",
        ),
        Form(("uniform",), CHANCE, lambda s: True, None),
    ],
    "split": [
        Form(("fair",), r"Half of 10 is (\d), so I demand (?P<do>\d)\.", lambda s, h: 2 * int(h) == 10, lambda s, h: h),
        Form(
            ("yielding_balanced", "stepwise_concede"),
            r"It is the first round, so I start with (?P<do>6)\.",
            first,
            lambda s: "6",
        ),
        Form(("tit_for_tat_split",), r"It is the first round, so I start with (?P<do>5)\.", first, lambda s: "5"),
        Form(
            ("yielding_balanced",),
            r"They demanded (\d) last round, which is (at least|less than) 7, so I demand (?P<do>\d)\.",
            lambda s, n, side: s.other[-1] == n and (int(n) >= 7) == (side == "at least"),
            lambda s, n, side: "3" if side == "at least" else "6",
        ),
        Form(
            ("stepwise_concede",),
            r"Our demands of (\d) and (\d) last round sum to (\d+), at most 10, so I demand (?P<do>\d)\.",
            lambda s, a, b, c: (s.own[-1], s.other[-1]) == (a, b) and int(a) + int(b) == int(c) <= 10,
            lambda s, a, b, c: "6",
        ),
        Form(
            ("stepwise_concede",),
            r"Our demands of (\d) and (\d) last round sum to (\d+), more than 10, so I demand "
            r"(one less than mine|3, the least I go down to): (?P<do>\d)\.",
            lambda s, a, b, c, down: (
                (s.own[-1], s.other[-1]) == (a, b)
                and int(a) + int(b) == int(c) > 10
                and (int(a) > 3) == (down == "one less than mine")
            ),
            lambda s, a, b, c, down: str(max(3, int(a) - 1)),
        ),
        Form(
            ("tit_for_tat_split",),
            r"They demanded (\d) last round, which leaves (\d) of 10, so I demand (?P<do>\d)\.",
            lambda s, n, left: s.other[-1] == n and int(n) + int(left) == 10,
            lambda s, n, left: left,
        ),
        Form(
            ("middling",),
            r"I pick from 3 to 7 at random, and this time it is (?P<do>[3-7])\.",
            lambda s: True,
            None,
        ),
    ],
    "items": [
        Form(
            ("proportional",),
            r"By its share of my values each item comes to ([\d.]+) books?, ([\d.]+) hats? and ([\d.]+) balls?, "
            r"so rounded, halves up, I demand (?P<do>[\d ]+)\.",
            lambda s, *parts: all(
                Fraction(part) == Fraction(n * v, sum(s.now["values"]))
                for part, n, v in zip(parts, s.now["pool"], s.now["values"], strict=True)
            ),
            lambda s, *parts: spelt([math.floor(Fraction(part) + Fraction(1, 2)) for part in parts]),
        ),
        Form(
            ("conservative",),
            r"Half of each item, rounded down, is ([\d ]+), so I demand (?P<do>that)\.",
            lambda s, h: vector(h) == half(s, "down"),
            lambda s, h: h,
        ),
        Form(
            ("adaptive", "defensive"),
            r"It is the first round and half of each item, rounded up, is ([\d ]+), so I demand (?P<do>that)\.",
            lambda s, h: first(s) and vector(h) == half(s, "up"),
            lambda s, h: h,
        ),
        Form(
            ("adaptive",),
            r"They demanded ([\d ]+) last round, which leaves ([\d ]+), so I demand (?P<do>[\d ]+)\.",
            lambda s, n, left: s.other[-1] == n and rest(s.now["pool"], vector(n)) == vector(left),
            lambda s, n, left: left,
        ),
        Form(
            ("defensive",),
            r"The last round was (a deal|no deal) and half of each item, rounded (up|down), is ([\d ]+), "
            r"so I demand (?P<do>that)\.",
            lambda s, deal, how, h: (
                s.now["deals"][-1] == deal.removeprefix("a ")
                and (deal == "a deal")
                == all(d >= 0 for d in rest(rest(s.now["pool"], vector(s.own[-1])), vector(s.other[-1])))
                and vector(h) == half(s, how)
            ),
            lambda s, deal, how, h: h if (deal == "a deal") == (how == "up") else "",
        ),
    ],
    "kuhn": [
        Form(
            ("nash_approx", "tight_value", "pot_control", "never_bluff"),
            HOLD + r"which loses to every other card, so I (?P<do>\w+)\.",
            lambda s, did, card: held(s, did, card) and all(RANK[card] <= r for r in RANK.values()),
            lambda s, did, card: meek(did),
        ),
        Form(
            ("nash_approx", "tight_value", "pot_control", "never_bluff"),
            HOLD + r"which beats every other card, so I (?P<do>\w+)\.",
            lambda s, did, card: held(s, did, card) and all(RANK[card] >= r for r in RANK.values()),
            lambda s, did, card: bold(did),
        ),
        Form(
            ("nash_approx", "tight_value", "pot_control", "never_bluff"),
            HOLD + r"which loses to the king, so I (?P<do>\w+)\.",
            lambda s, did, card: held(s, did, card) and RANK[card] < RANK["king"],
            lambda s, did, card: meek(did) if card == "queen" else "",
        ),
        Form(
            ("never_bluff",),
            HOLD + r"which beats the jack, so I (?P<do>\w+)\.",
            lambda s, did, card: held(s, did, card) and RANK[card] > RANK["jack"],
            lambda s, did, card: "call" if (card, DID[did]) == ("queen", "bet") else "",
        ),
        *(
            Form(
                (speaker,),
                HOLD + r"with which I (bet|call) (\d) time in (\d) at random, and this time I (?P<do>\w+)\.",
                lambda s, did, card, act, k, n, odds=odds: (
                    held(s, did, card) and act == bold(did) and odds.get((card, act)) == numbers(k, n)
                ),
                None,
            )
            for speaker, odds in ODDS.items()
        ),
    ],
    "commons": [
        Form(("reciprocal",), r"It is the first round, so I start with (?P<do>\w+)\.", first, lambda s: "medium"),
        Form(("grim",), r"It is the first round, so I start with (?P<do>\w+)\.", first, lambda s: "low"),
        Form(
            ("reciprocal",),
            r"They took (\w+) last round(, not high)?, so I take (?P<do>\w+)\.",
            lambda s, took, lower: s.other[-1] == took and (took != "high") == bool(lower),
            lambda s, took, lower: "high" if took == "high" else "low",
        ),
        Form(
            ("grim",),
            r"They have never taken high, so I take (?P<do>\w+)\.",
            lambda s: "high" not in s.other,
            lambda s: "low",
        ),
        Form(
            ("grim",),
            r"They took high in round (\d+), so I take (?P<do>\w+)\.",
            lambda s, n: s.other.index("high") + 1 == int(n),
            lambda s, n: "high",
        ),
        Form(
            ("scarcity_aware",),
            r"The stock is (\d+), (at most|more than) 6, so I take (?P<do>\w+)\.",
            lambda s, n, side: s.now["stock"] == int(n) and (int(n) <= 6) == (side == "at most"),
            lambda s, n, side: "low" if side == "at most" else "medium",
        ),
        Form(
            ("low",),
            r"The stock grows most if both together take at most (3), so I take (?P<do>\w+) in every round\.",
            lambda s, n: [total for total in range(2, 7) if (2, 2, 1, 0, 0)[total - 2] == 2][-1] == int(n),
            lambda s, n: "low",
        ),
        Form(("uniform",), CHANCE, lambda s: True, None),
    ],
}


def judge(row: dict[str, Any], probability: float) -> str:
    """Return what is wrong with a reasoned row whose action its demonstrator takes with a probability; or nothing."""
    text = row["completion"][0]["content"]
    sentence, _, last = text.partition("\n")
    seen = read(row["game"], row["prompt"])
    word = last.removeprefix("ACTION: ")
    for speakers, pattern, true, implies in FORMS[row["game"]]:
        if row["demonstrator"] not in speakers or (found := re.fullmatch(pattern, sentence)) is None:
            continue
        do = found["do"]
        facts = [text for i, text in enumerate(found.groups(), start=1) if i != found.re.groupindex["do"]]
        try:
            if not true(seen, *facts):
                return "untrue"
        except (IndexError, ValueError):  # of a round that there was not, or a move that was never made
            return "untrue"
        if do not in (word, "that"):
            return "the sentence ends in another action"
        if (implies is None) != (probability < 1):
            return "a cause for what is drawn by lot, or none for what is not"
        if implies is not None and implies(seen, *facts) != word:
            return "the reason gives another action"
        return ""
    return "no form of sentence that is known"
