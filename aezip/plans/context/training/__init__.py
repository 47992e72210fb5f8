"""Training of context networks: torch is imported here."""
