"""File input and output: decode images safely, list folders, write results atomically. This package uses no torch."""
