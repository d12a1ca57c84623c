"""The catalogue of theorems, by subject."""
