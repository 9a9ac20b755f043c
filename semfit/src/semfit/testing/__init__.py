"""Tests between models and groups: differences, constraints, invariance, sensitivity."""
