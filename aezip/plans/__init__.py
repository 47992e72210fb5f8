"""Kinds of plans: how the chunks of an array become streams and come back."""
