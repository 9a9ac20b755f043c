"""What the data say (samples, patterns of gaps, polychoric statistics) and what a model implies.

This room imports of semfit only `semfit.syntax` (a model, its parameters), which imports nothing of
it in turn.
"""
