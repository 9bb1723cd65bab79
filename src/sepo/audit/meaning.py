"""What the figures of a scorecard beside the measures mean, in a few words each, in the order they are shown in."""

from __future__ import annotations

MEANING = {
    "exploitability": "what a best-responding opponent wins beyond the game's value",
    "worst_case_advantage": "the most any opponent can be ahead",
    "security_gap": "payoff lost against the worst opponent, from the maximin value",
    "pool_coverage": "share of the worst case that the exploiter pool finds",
    "robustness": "payoff against the exploiter pool",
    "held_out": "payoff against opponents never trained on",
    "nra": "normalized relative advantage",
    "welfare": "both payoffs together",
    "cooperation_rate": "share of rounds in which the policy cooperates",
    "deviation_response": "change of its conduct after one forced deviation of a partner",
    "time_to_exploit": "rounds an adaptive opponent needs for half of the worst case",
    "illegal_rate": "share of replies that were no legal action",
    "legal_mass": "probability the unconstrained model puts on legal replies",
}
