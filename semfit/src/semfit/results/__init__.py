"""A fit as a researcher reads and uses it: summary, scores, diagram, LaTeX, simulation and power."""
