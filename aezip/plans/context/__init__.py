"""The plan of networks that look at decoded neighbours."""
