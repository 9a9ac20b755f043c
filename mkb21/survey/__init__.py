"""The questionnaire, its waves and their answers, also against what was published."""
