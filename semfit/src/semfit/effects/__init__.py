"""Direct, indirect and total effects, with intervals by delta, Monte Carlo and bootstrap."""
