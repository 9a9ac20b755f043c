"""The questionnaire, its waves and their answers: read, cleaned, described, held against what was published."""
