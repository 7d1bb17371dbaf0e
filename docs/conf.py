project = "pyacq-rpc"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
