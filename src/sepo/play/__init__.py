"""Playing: rollouts on a tree, in lockstep and from explicit keys, and the neutral record of an episode."""
