"""Claims about Python functions: run on symbols, watched, and compared on numbers."""
