"""How fast calls are: a table of works and contenders.

A *work* (`works.py`) is something that a program does over and over: call a
method, send an array. A *contender* (`raw.py`, `calls.py`) is a way to do it;
it has a method for each work that it can do. `measure.py` runs all works with
all contenders in turn, several rounds of it, so that what else the machine
does meanwhile hits them alike, and takes medians.

To add a contender, write a class with these methods and list it in
``__main__.py``; to add a work, list it in `works.WORKS`.
"""
