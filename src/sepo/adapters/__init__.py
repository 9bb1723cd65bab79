"""Other frameworks, each optional: what they run of ours, or we of theirs."""
