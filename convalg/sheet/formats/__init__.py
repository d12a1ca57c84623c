"""The formats of a sheet: HTML, Markdown, LaTeX, notebook."""
