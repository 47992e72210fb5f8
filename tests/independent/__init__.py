"""A second reader of aezip files, written from docs/format.md alone: it knows nothing of the package."""
