"""Files of arrays and of models: the public functions."""
