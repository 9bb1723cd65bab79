"""The errors that reach people: one line that says what was wrong, where, and what would be right."""


class InputError(ValueError):
    """Wrong usage or input. The command line prints its message and exits with code 2."""


class ContractError(InputError):
    """A game or policy broke its contract: probabilities that do not sum to 1, an illegal action, no perfect recall."""


class TooLargeError(ContractError):
    """A game has more nodes than may be held; what needs its whole tree is estimated or left out instead."""


class ShortcutError(TooLargeError):
    """A short memory does not make the game smaller: what is private outlives its round, so the past tells of it."""


class EndpointError(RuntimeError):
    """A server or worker failed after its retries; finished work is kept. The command line exits with code 3."""
