"""What looks at files: pages, comparisons, tests in a child process."""
