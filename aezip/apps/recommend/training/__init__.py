"""Training of what estimates ratings: torch is imported here."""
