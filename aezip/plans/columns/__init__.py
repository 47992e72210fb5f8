"""The plan that codes a table column by column."""
