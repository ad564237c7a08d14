"""The conductor: command line, plan, run, features and their cache."""
