"""Estimates of ratings that are not there."""
