"""How fast calls are, next to what plain pyzmq does and what others do.

A *work* (`works.py`) is something that a program does: call a method, send an
array, start a node. A *contender* (`contenders/`) is a way to do it; it has a
method for each work that it can do. Each contender lives in a process of its
own (`player.py`), and `measure.py` lets them take turns: every round of a work
is one short turn of each, so that what else the machine does meanwhile hits
them alike. `lines.py` says what is then compared with what, `table.py`,
`record.py` and `plot.py` show it.

To add a contender, write a subclass of `contenders.base.Contender` and list it
in `contenders/__init__.py`. To add a work, give those who can do it a method,
list it in `works.PHASES`, and what comes of it in `lines.LINES`.
"""
