"""convalg beside its peers, measured in one run, in turns."""
