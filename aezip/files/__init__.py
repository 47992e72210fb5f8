"""Whole files of other formats: taken apart into arrays and a skeleton of everything else, and put together again."""
