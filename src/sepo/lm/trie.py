"""Scoring many replies to many prompts that share beginnings.

All prompts of a game form a trie, and the legal replies hang from it as further branches. The trie is
packed into one sequence with tree attention: each token sees its ancestors only and has its depth as its
position, so every token is computed once. Models that do not allow this (linear attention, sliding
windows shorter than the prompt) use the de-duplicated padded batch. Both give the same figures.

Shapes: a *plan* scores the replies of some questions in one forward pass; its result is (replies,), the
sum of token log-probabilities of each reply, questions in order, replies in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from sepo.lm.attention import Block, additive, attends_by_block, blocks_of
from sepo.lm.chat import Question
from sepo.lm.head import fixed_head, opened, token_log_probs
from sepo.lm.trunk import bypassed, trunk_of

Packing = Literal["trie", "padded", "single"]
TOKEN_BUDGET = 1024
"""Tokens of one forward pass; attention over a packed sequence costs the square of its length."""


@dataclass(frozen=True, eq=False)
class Plan:
    """One forward pass.

    Attributes
    ----------
    questions
        Which questions it answers, as indices.
    tokens, positions : (rows, length)
        Packed tokens and the position of each.
    mask : (rows, length) or (1, 1, length, length)
        Padding, or who sees whom, as booleans.
    kept : (rows, kept)
        Positions at which logits are needed.
    source, target, reply : (scored,)
        For each scored token: where its logits stand (flat index into rows * kept), its id, and the reply
        it belongs to (counted within the plan).
    replies
        Number of replies.
    blocks
        The mask of a trie, block by block; none of a batch.
    parents
        The token before each of a trie, -1 where there is none; none of a batch.
    """

    questions: tuple[int, ...]
    tokens: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    kept: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    reply: torch.Tensor
    replies: int
    blocks: tuple[Block, ...] = ()
    parents: tuple[int, ...] = ()

    def log_probs(self, model: Any) -> torch.Tensor:
        """Run the model once and return each reply's log-probability. (replies,), float32."""
        device = model.device
        head = fixed_head(model)
        with nullcontext() if head is None else opened(head), self._from_trunk(model):
            found = self._run(model).flatten(0, 1)
        source, target = self.source.to(device), self.target.to(device)
        if head is None:
            picked = torch.log_softmax(found.float(), dim=-1)[source, target]
        else:
            picked = token_log_probs(found, head.weight, source, target)
        out = torch.zeros(self.replies, dtype=picked.dtype, device=device)
        return out.index_add(0, self.reply.to(device), picked)

    def _run(self, model: Any) -> torch.Tensor:
        """Return the model's logits, or what its open head lets through, at the positions that are kept."""
        device = model.device
        mask = self.mask.to(device)
        by_block: dict[str, Any] = {}
        if mask.ndim == 4:
            dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else model.dtype
            mask = additive(mask, dtype, device)
            if self.blocks and attends_by_block(model):
                by_block["blocks"] = [b._replace(mask=additive(b.mask, dtype, device)) for b in self.blocks]
        found: torch.Tensor = model(
            input_ids=self.tokens.to(device),
            attention_mask=mask,
            position_ids=self.positions.to(device),
            logits_to_keep=self.kept.to(device),
            use_cache=False,
            **by_block,
        ).logits
        return found

    def _from_trunk(self, model: Any) -> AbstractContextManager[None]:
        """Let the pass begin where the model's training does, if what comes before is kept."""
        trunk = trunk_of(model)
        if trunk is None or not self.parents:
            return nullcontext()

        def below(some: Sequence[int]) -> None:
            self._part(some)._run(model)

        return trunk.above(trunk.outputs(self.tokens[0].tolist(), self.parents, below))

    def _part(self, some: Sequence[int]) -> Plan:
        """Return a pass over some tokens of a trie, whole paths, that reads nothing but the first one's logits."""
        at = torch.tensor(some)
        sees = self.mask[0, 0][at][:, at]
        return replace(
            self,
            tokens=self.tokens[:, at],
            positions=self.positions[:, at],
            mask=sees[None, None],
            kept=torch.zeros(1, 1, dtype=torch.long),
            blocks=blocks_of(sees),
        )

    @property
    def computed(self) -> int:
        """Tokens that the forward pass computes, padding included."""
        return self.tokens.numel()


def plans(questions: Sequence[Question], packing: Packing, budget: int = TOKEN_BUDGET) -> list[Plan]:
    """Divide questions into forward passes of at most ``budget`` tokens each (one question at least).

    With ``trie``, questions that share a beginning stay together: they are taken in lexicographic order, so
    whole subtrees fall into one pass, and only the path to the cut is computed twice.
    """
    order = sorted(range(len(questions)), key=lambda i: questions[i].prompt)
    if packing == "single":
        rows = {i: _rows(questions, [i]) for i in order}
        return [_padded(questions, [i], rows[i], only=r) for i in order for r in range(len(rows[i]))]
    out: list[Plan] = []
    group: list[int] = []
    size = _TrieSize() if packing == "trie" else _BatchSize()
    for i in order:
        if size.add(questions[i]) > budget and group:
            out.append(_plan(questions, group, packing))
            group, size = [], type(size)()
            size.add(questions[i])
        group.append(i)
    if group:
        out.append(_plan(questions, group, packing))
    return out


class _TrieSize:
    """Counts the tokens of a growing trie."""

    def __init__(self) -> None:
        self.index: dict[tuple[int, int], int] = {}

    def add(self, question: Question) -> int:
        """Add a question; return the tokens of the whole."""
        end = self._walk(0, question.prompt)
        for reply in question.replies:
            self._walk(end, reply[:-1])
        return len(self.index)

    def _walk(self, node: int, path: Sequence[int]) -> int:
        for token in path:
            node = self.index.setdefault((node, token), len(self.index) + 1)
        return node


class _BatchSize:
    """Counts the tokens of a growing padded batch, as if no row were a prefix of another."""

    def __init__(self) -> None:
        self.rows: set[tuple[int, ...]] = set()
        self.longest = 0

    def add(self, question: Question) -> int:
        """Add a question; return the tokens of the whole."""
        rows = {question.prompt + reply[:-1] for reply in question.replies}
        self.rows |= rows
        self.longest = max(self.longest, *map(len, rows))
        return len(self.rows) * self.longest


def _plan(questions: Sequence[Question], group: list[int], packing: Packing) -> Plan:
    return _trie(questions, group) if packing == "trie" else _padded(questions, group, _rows(questions, group))


def _rows(questions: Sequence[Question], group: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the sequences a model must read, none a prefix of another; a reply's last token is only predicted."""
    wanted = sorted({questions[i].prompt + reply[:-1] for i in group for reply in questions[i].replies})
    return [row for row, after in zip(wanted, [*wanted[1:], ()], strict=True) if after[: len(row)] != row]


def _trie(questions: Sequence[Question], group: list[int]) -> Plan:
    index: dict[tuple[int, int], int] = {}  # (parent node, token) -> node
    tokens: list[int] = []
    parents: list[int] = []
    depths: list[int] = []

    def walk(start: int, path: Sequence[int]) -> int:
        node = start
        for token in path:
            child = index.setdefault((node, token), len(tokens))
            if child == len(tokens):
                tokens.append(token)
                parents.append(node)
                depths.append(depths[node] + 1 if node >= 0 else 0)
            node = child
        return node

    scored: list[tuple[int, int, int]] = []  # node whose logits are read, next token, reply
    replies = 0
    for i in group:
        end = walk(-1, questions[i].prompt)
        for reply in questions[i].replies:
            node = end
            for k, token in enumerate(reply):
                scored.append((node, token, replies))
                if k + 1 < len(reply):
                    node = walk(node, (token,))
            replies += 1
    length = len(tokens)
    sees = torch.zeros((length, length), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            sees[node] = sees[parent]
        sees[node, node] = True
    kept = sorted({node for node, _, _ in scored})
    where = {node: k for k, node in enumerate(kept)}
    return Plan(
        questions=tuple(group),
        tokens=torch.tensor([tokens]),
        positions=torch.tensor([depths]),
        mask=sees[None, None],
        kept=torch.tensor([kept]),
        source=torch.tensor([where[node] for node, _, _ in scored]),
        target=torch.tensor([token for _, token, _ in scored]),
        reply=torch.tensor([r for _, _, r in scored]),
        replies=replies,
        blocks=blocks_of(sees),
        parents=tuple(parents),
    )


def _padded(
    questions: Sequence[Question], group: list[int], rows: list[tuple[int, ...]], only: int | None = None
) -> Plan:
    """Lay rows out as a right-padded batch. With ``only``, just that row and the replies that it is first to hold."""
    scored: list[tuple[int, int, int, int]] = []  # row, position, next token, reply
    replies = 0
    for i in group:
        prompt = questions[i].prompt
        for reply in questions[i].replies:
            read = prompt + reply[:-1]
            r = next(r for r, row in enumerate(rows) if row[: len(read)] == read)
            if only in (None, r):
                at = 0 if only is not None else r
                scored += [(at, len(prompt) - 1 + k, token, replies) for k, token in enumerate(reply)]
            replies += 1
    rows = rows if only is None else [rows[only]]
    length = max(map(len, rows))
    tokens = torch.zeros((len(rows), length), dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for r, row in enumerate(rows):
        tokens[r, : len(row)] = torch.tensor(row)
        mask[r, : len(row)] = True
    needed = [sorted({at for row, at, _, _ in scored if row == r}) for r in range(len(rows))]
    width = max(map(len, needed))
    kept = torch.tensor([at + [0] * (width - len(at)) for at in needed])
    return Plan(
        questions=tuple(group),
        tokens=tokens,
        positions=torch.arange(length).expand(len(rows), length),
        mask=mask,
        kept=kept,
        source=torch.tensor([r * width + needed[r].index(at) for r, at, _, _ in scored]),
        target=torch.tensor([token for _, _, token, _ in scored]),
        reply=torch.tensor([reply for _, _, _, reply in scored]),
        replies=replies,
    )


def score(
    model: Any,
    questions: Sequence[Question],
    packing: Packing,
    budget: int = TOKEN_BUDGET,
    tell: Callable[[int, int], None] | None = None,
) -> list[torch.Tensor]:
    """Return the log-probability of each reply to each question, without gradient. One (replies,) tensor a question.

    ``tell`` hears after each forward pass how many are done and how many there are.
    """
    out = [torch.zeros(len(q.replies)) for q in questions]
    with torch.no_grad():
        laid = plans(questions, packing, budget)
        for number, plan in enumerate(laid, start=1):
            at = 0
            found = plan.log_probs(model).cpu()
            for i in plan.questions:
                out[i] += found[at : at + len(questions[i].replies)]
                at += len(questions[i].replies)
            if tell is not None:
                tell(number, len(laid))
    return out


def window(model: Any) -> int | None:
    """Return how far back a model's layers with the shortest sight see, in tokens; None where all see everything.

    Those layers are of sliding or of chunked attention. transformers leaves who sees whom to a packed mask where it is
    given one, so that in a trie they would see everything too.
    """
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    kinds = getattr(text, "layer_types", None)
    used = kinds is not None or getattr(text, "use_sliding_window", True)
    sizes = [
        size
        for kind, name in (("sliding", "sliding_window"), ("chunked", "attention_chunk_size"))
        if used and isinstance(size := getattr(text, name, None), int)
        if kinds is None or any(kind in each for each in kinds)
    ]
    return min(sizes, default=None)


def trie_agrees(
    model: Any, questions: Sequence[Question], tolerance: float, relative: float = 0.0
) -> tuple[bool, float]:
    """Compare packed with one-by-one log-probabilities on a probe: the shortest question and the longest.

    A few replies of each will do, the first and the last among them: where a token sees what it should not, or not what
    it should, it is for all of them.

    Parameters
    ----------
    tolerance, relative
        A log-probability l may differ by ``tolerance + relative * |l|``.

    Returns
    -------
    tuple
        Whether they agree on every reply, and the largest difference seen; infinite where the model does not take a
        packed sequence at all.
    """
    order = sorted(questions, key=lambda q: len(q.prompt))
    probe = [q._replace(replies=_spread(q.replies)) for q in dict.fromkeys([order[0], order[-1]])]
    alone = torch.cat(score(model, probe, "single"))
    try:
        with bypassed(model):  # a probe comes when a model was loaded, and a run that goes on loads it at another step
            packed = torch.cat(score(model, probe, "trie"))
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, IndexError, RuntimeError):  # as models refuse a mask of who sees whom
        return False, math.inf
    apart = (packed - alone).abs()
    within = apart <= tolerance + relative * alone.abs()  # a NaN difference does not pass
    return bool(within.all()), float(apart.max())


def _spread(replies: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Return the first, the middle and the last of some replies, those that are not the same."""
    return tuple(replies[i] for i in sorted({0, len(replies) // 2, len(replies) - 1}))
