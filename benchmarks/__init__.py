"""Real data through aezip and its peers at one and the same checked error. Run with ``python -m benchmarks``."""
