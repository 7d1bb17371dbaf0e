"""What the how-to pages show: commands, and modules."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from processes import ROOT

PAGES = {page.stem: page.read_text() for page in (ROOT / "docs" / "howto").glob("*.rst")}


def typed(page: str) -> Iterator[str]:
    """Each command that a page has typed at a shell, or names in a sentence."""
    for block in re.findall(r"code-block:: console\n\n((?:   .*\n|\n)+)", PAGES[page]):
        yield from re.findall(r"^   \w*\$ (.*?)(?: +#.*)?$", block, flags=re.MULTILINE)
    for named in re.findall(r"``((?:\w+=\S+\s+)?pyacq-rpc\s[^`]*)``", PAGES[page]):
        yield " ".join(named.split())


def all_typed(program: str) -> list[str]:
    """The arguments that any page gives to a program; not where it leaves some out."""
    commands = [re.sub(r"^\w+=\S+ ", "", command) for page in PAGES for command in typed(page)]
    start = f"{program} "
    return sorted({it.removeprefix(start) for it in commands if it.startswith(start)} - ELLIPTIC)


ELLIPTIC = {"call ... --json"}


def modules(page: str) -> dict[str, str]:
    """The modules that a page writes before it begins, by the names of their files."""
    found = re.findall(r'"(\w+\.py)"\)\.write_text\(\'\'\'\n(.*?)\'\'\'\)', PAGES[page], re.DOTALL)
    return {name: textwrap.dedent(text) for name, text in found}
