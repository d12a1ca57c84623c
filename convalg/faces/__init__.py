"""Faces: the questions one can ask of an operator, each a table of rules over its tree."""
