"""Claims about Python functions: run on symbols, traced, and compared on numbers."""
