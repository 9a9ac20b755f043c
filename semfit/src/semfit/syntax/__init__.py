"""From a model in lavaan syntax to the parameters of every group, and whether they are identified.

The lowest room: it imports nothing else of semfit.
"""
