"""What the comparison page says was tried: each question is put to each project.

``python -m benchmarks.comparison`` asks all of them, in about two minutes; with names of
projects, only these, and with ``--only killed`` that question. `things.py` has the object
that is served, `peers.py` how each project serves and reaches it, with its default settings,
and `questions.py` what is asked. Each question has a server and a client process of its own.
"""
