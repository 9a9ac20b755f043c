"""What the data say (samples, patterns of gaps, polychoric statistics) and what a model implies."""
