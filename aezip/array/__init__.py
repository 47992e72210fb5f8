"""Arrays and what is promised of them: types, special values, statistics, bounds, errors, cutting into chunks."""
