"""Listening tests: the questionnaire, its server, and how responses become a table of mean opinion scores."""
