"""The sections of a derivation sheet."""
