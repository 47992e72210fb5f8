"""Training of autoencoders: torch is imported here."""
