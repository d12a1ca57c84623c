"""The labelled entries of a layer, and its rows that read alike."""
