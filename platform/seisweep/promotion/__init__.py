"""The test split, opened once and on the record; models with their card in the registry."""
