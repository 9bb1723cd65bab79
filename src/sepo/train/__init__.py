"""Training: the objective's terms become weights of decisions, and one update follows them."""
