"""The plan of autoencoders and of networks on columns."""
