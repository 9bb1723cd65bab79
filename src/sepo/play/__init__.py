"""Playing: rollouts on a tree, in lockstep and from explicit keys, and the neutral record of an episode."""

from sepo.callable import make_callable

make_callable(__name__)  # ``sepo.play(...)`` is ``sepo.api.play(...)``
