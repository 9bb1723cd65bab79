"""Training: the objective's terms become weights of decisions, and one update follows them."""

from sepo.callable import make_callable

make_callable(__name__)  # ``sepo.train(...)`` is ``sepo.api.train(...)``
