"""Faces: representations of an operator, each a table of rules over its tree."""
