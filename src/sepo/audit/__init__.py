"""What a policy is worth and what it risks: measures, intervals, scorecards."""

from sepo.callable import make_callable

make_callable(__name__)  # ``sepo.audit(...)`` is ``sepo.api.audit(...)``
