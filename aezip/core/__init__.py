"""What everything stands on: errors, memory, threads, planes of bytes, files replaced at once."""
