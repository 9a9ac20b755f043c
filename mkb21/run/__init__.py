"""Where files are, and how notebooks are run: paths, pipeline, provenance, the `mkb21` command."""
