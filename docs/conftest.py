"""The pages are doctests; the modules that build them are run by Sphinx alone."""

collect_ignore_glob = ["*.py", "_ext/*"]
