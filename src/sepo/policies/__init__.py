"""Everything that acts: one batched question, a probability for each legal action of each decision."""
