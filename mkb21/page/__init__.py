"""All that a reader sees: figures, diagrams, tables, words, the reporting standard."""
