"""Faces: the representations of an operator, each computed by a table of rules over its tree."""
