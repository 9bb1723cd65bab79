"""Safe Equilibrium Policy Optimization: train language-model agents, audit the strategic safety of any policy."""

__version__ = "0.1.0"
