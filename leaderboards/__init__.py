"""How judgements are shown: the result schema, tables in five formats."""
