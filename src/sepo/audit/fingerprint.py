"""What a scorecard was found of: a digest of the policy, so that it can be told from another one of the same name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sepo.errors import InputError
from sepo.lm.identity import contents, contents_kept
from sepo.policies.base import Policy
from sepo.policies.table import PolicyTable


def fingerprint(policy: Policy | None, reference: str, *, kept: bool = False) -> dict[str, str] | None:
    """Return a digest of what a policy is made of; None of scripts, of servers, and of files that are not here.

    Parameters
    ----------
    reference
        Its POLICY string.
    kept
        Whether the digest of a model's files may come from this machine's disk, where they are as they were.
    """
    if isinstance(policy, PolicyTable):
        document = {key: value for key, value in policy.document().items() if key not in ("about", "schema")}
        text = json.dumps(document, separators=(",", ":"), sort_keys=True)
        return {"sha256": hashlib.sha256(text.encode("ascii")).hexdigest(), "of": "the table's game, rules and rows"}
    if reference.partition(":")[0] not in ("bundled", "hf"):
        return None
    found = contents_kept(reference) if kept else contents(reference)
    return None if found is None else {"sha256": found, "of": "the model's files"}


def check_fingerprint(document: Mapping[str, Any], where: str) -> None:
    """Hold the fingerprint of a scorecard or a card, if it has one, to what one is.

    Raises
    ------
    InputError
        If it is none.
    """
    digest = document.get("fingerprint")
    if digest is None:
        return
    if not isinstance(digest, dict):
        raise InputError(f"{where}: 'fingerprint' must be an object")
    if set(digest) != {"sha256", "of"} or not all(isinstance(text, str) for text in digest.values()):
        raise InputError(f"{where}: 'fingerprint' must have 'sha256' and 'of', which are text")


def hold_to_policy(scorecard: Mapping[str, Any], policy: Policy | None, where: str) -> None:
    """Refuse a scorecard whose policy is not the one that bears its name now; one without a fingerprint may be.

    Raises
    ------
    InputError
        If the fingerprints differ.
    """
    check_fingerprint(scorecard, where)
    name, then = str(scorecard["policy"]), scorecard.get("fingerprint")
    now = None if policy is None or then is None else fingerprint(policy, name)
    if now is not None and then is not None and now["sha256"] != then["sha256"]:
        raise InputError(
            f"{where}: '{name}' has changed since it was audited (its SHA-256 was {then['sha256'][:12]}… and is "
            f"{now['sha256'][:12]}…): audit it again"
        )
