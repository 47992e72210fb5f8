"""One array to header and streams, and back. Knows nothing of files."""
