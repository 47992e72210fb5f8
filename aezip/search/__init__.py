"""The search for the plan of an array."""
