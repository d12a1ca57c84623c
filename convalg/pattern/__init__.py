"""The labelled entries of a layer, and groups of rows that read with the same taps."""
