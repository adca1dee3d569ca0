"""The data sets of make_datasets.py, one module each."""
