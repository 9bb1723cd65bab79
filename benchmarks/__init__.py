"""What the claims of speed rest on: ``sepo bench`` runs these from a clone of the repository.

Each module names the ways it compares and what they are compared with; ``timing`` alone measures. A way
is warmed up, then all ways take turns (A, B, C, A, B, C, ...), so that whatever else the machine does
meets them alike; medians are compared. ``penalty_gradient`` measures no time and runs by itself.
"""

BENCHMARKS = (
    "elicitation",
    "attention",
    "lora",
    "head",
    "trunk",
    "decisions",
    "training_step",
    "ipd_step",
    "workers",
    "exploitability",
    "best_response",
    "rounds",
)
"""Names of the modules, in the order in which they run."""
