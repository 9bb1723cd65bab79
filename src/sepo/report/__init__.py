"""A run folder as one self-contained HTML page. Reads finished files only; trains and audits nothing."""

from sepo.callable import make_callable

make_callable(__name__)  # ``sepo.report(...)`` is ``sepo.api.report(...)``
