"""The sections of a sheet, in the order of a lecture."""
