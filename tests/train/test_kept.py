"""An answer is kept for the very objects that it was found of, and for no others, however equal."""

from __future__ import annotations

import numpy as np

from sepo.train.kept import Kept


def test_an_answer_is_found_once_for_the_same_objects_and_anew_for_others() -> None:
    kept: Kept[float] = Kept()
    policy, equal, asked = np.ones(3), np.ones(3), []

    def of(*given: np.ndarray) -> float:
        def find() -> float:
            asked.append(given)
            return float(len(asked))

        return kept(find, *given)

    assert [of(policy), of(policy), of(equal), of(policy), of(policy, equal), of(equal, policy)] == [1, 1, 2, 3, 4, 5]
    assert kept(lambda: 6.0) == 6
    assert kept(lambda: 7.0) == 6
