"""What an owner tells of an object to somebody who asks what it is.

People ask, by way of ``help``, Tab and a prompt; so this is imported only then, and
may take its time. What comes out of it are plain values.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from typing import Any

__all__ = ["PLAIN", "describe_object", "keys_of", "rendering_of"]

PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Defaults and keys that travel as they are; of others, what is shown of them."""

_MOST_KEYS = 1000
_LONGEST = 200
"""Characters of a default, an annotation, or what is shown of an object."""

_RICH = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/json": "_repr_json_",
}


def describe_object(obj: Any, detail: str = "", whole: bool = True) -> dict[str, Any]:
    """Describe an object the way that ``help`` and ``obj?`` do.

    Parameters
    ----------
    obj : object
    detail : {'', 'object', 'source', 'help'}
        Docstring and signature; with the file and what is shown of it; with its
        source as well; or the text that ``help`` shows over there.
    whole : bool
        Whether whoever asks may see all that; else they get the docstring, and of the
        signature what is needed for a call.

    Returns
    -------
    dict
        What is not known is None.

    Examples
    --------
    >>> def shoot(seconds: float, *, count=1):
    ...     '''Take frames.'''
    >>> told = describe_object(shoot)
    >>> told["doc"], told["type"]
    ('Take frames.', 'function')
    >>> told["signature"]
    [[['seconds', 1, None, 'float'], ['count', 3, ['value', 1], None]], None]
    """
    told: dict[str, Any] = {
        "type": type(obj).__name__,
        "doc": _doc(obj, whole),
        "signature": _signature(obj, whole) if whole or _is_routine(obj) else None,
    }
    if whole and detail:
        told["kind"] = "routine" if _is_routine(obj) else "object"
        told["shown"] = _shortened(_shown(obj))
        told["length"] = _length(obj)
        told["file"] = _of_its_code(inspect.getsourcefile, obj)
        if detail == "source":
            told["source"] = _of_its_code(inspect.getsource, obj)
        if detail == "help":
            told["help"] = _help(obj)
    return told


def keys_of(obj: Any) -> list[Any]:
    """Return the keys that ``obj[`` may go on with, as IPython looks for them.

    Examples
    --------
    >>> keys_of({"gain": 1, 2: 3})
    ['gain', 2]
    """
    complete = getattr(type(obj), "_ipython_key_completions_", None)
    if complete is not None:
        keys = complete(obj)
    elif hasattr(type(obj), "keys") and hasattr(type(obj), "__getitem__"):
        keys = obj.keys()
    else:
        keys = getattr(getattr(obj, "dtype", None), "names", None) or ()
    return [key for key in itertools.islice(keys, _MOST_KEYS) if _is_plain(key)]


def rendering_of(obj: Any) -> dict[str, Any]:
    """Return all that a notebook could show of an object.

    Parameters
    ----------
    obj : object
        Its ``_repr_mimebundle_``, ``_repr_html_`` and the like are asked; a figure of
        matplotlib is drawn.

    Returns
    -------
    dict
        ``data`` and ``metadata`` by type, as IPython has them, and ``problems``: what
        methods have raised, in words.

    Examples
    --------
    >>> rendering_of([1, 2])
    {'data': {'text/plain': '[1, 2]'}, 'metadata': {}, 'problems': []}
    """
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    problems: list[str] = []

    def add(mime: str, found: Any) -> None:
        if isinstance(found, tuple) and len(found) == 2:
            found, metadata[mime] = found
        if found is not None:
            data[mime] = found

    def ask(method: str) -> Any:
        # Of the class, as IPython means it; what an object makes up for any name is no answer.
        if isinstance(obj, type) or not hasattr(type(obj), method):
            return None
        try:
            return getattr(obj, method)()
        except NotImplementedError:
            return None
        except Exception as error:  # noqa: BLE001  # others may work, and this one is told
            problems.append(f"{method}: {type(error).__name__}: {error}")
            return None

    bundle = ask("_repr_mimebundle_")
    if isinstance(bundle, tuple) and len(bundle) == 2:
        bundle, about = bundle
        metadata.update(about)
    data.update(bundle or {})
    for mime, method in _RICH.items():
        if mime not in data:
            add(mime, ask(method))
    if "image/png" not in data and _is_figure(obj):
        data["image/png"] = _drawn(obj)
    if "text/plain" not in data:
        data["text/plain"] = _shown(obj)
    return {"data": data, "metadata": metadata, "problems": problems}


def _doc(obj: Any, whole: bool) -> str | None:
    # An object may make its docstring up, by code that nobody has exposed.
    asked = obj if whole or _is_routine(obj) else type(obj)
    doc = inspect.getdoc(asked)
    return doc if isinstance(doc, str) else None


def _is_routine(obj: Any) -> bool:
    return inspect.isroutine(obj) or inspect.isclass(obj)


def _signature(obj: Any, whole: bool) -> list[Any] | None:
    if not callable(obj):
        return None
    try:
        signature = inspect.signature(obj)
    except (TypeError, ValueError):  # many of C have none
        return None
    parameters = [
        [p.name, int(p.kind), _default(p.default, whole), _annotation(p.annotation)]
        for p in signature.parameters.values()
    ]
    return [parameters, _annotation(signature.return_annotation)]


def _default(default: Any, whole: bool) -> list[Any] | None:
    if default is inspect.Parameter.empty:
        return None
    if not whole:
        return ["text", "..."]
    if type(default) in PLAIN:
        return ["value", default]
    return ["text", _shortened(_shown(default))]


def _annotation(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    if isinstance(annotation, str):
        return annotation
    return _shortened(inspect.formatannotation(annotation))


def _shown(obj: Any) -> str:
    try:
        return repr(obj)
    except Exception as error:  # noqa: BLE001  # of any object; it is said in its place
        return f"<{type(obj).__name__}, whose repr raises {type(error).__name__}>"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."


def _length(obj: Any) -> int | None:
    try:
        return len(obj)
    except Exception:  # noqa: BLE001  # any object's own: it has none then
        return None


def _of_its_code(find: Any, obj: Any) -> str | None:
    """Return what is found of the code of an object, or else of its class."""
    for code in (inspect.unwrap(obj) if callable(obj) else obj, type(obj)):
        try:
            found = find(code)
        except (OSError, TypeError, ValueError):  # builtin, or typed in
            continue
        if found:
            return str(found)
    return None


def _help(obj: Any) -> str:
    import pydoc

    # Of a string, it would look for what has that name.
    thing = str if isinstance(obj, str) else obj
    return pydoc.render_doc(thing, "%s", renderer=pydoc.plaintext)  # type: ignore[attr-defined]


def _is_plain(key: Any) -> bool:
    if type(key) is tuple:
        return all(type(part) in PLAIN for part in key)
    return type(key) in PLAIN


def _is_figure(obj: Any) -> bool:
    figures = sys.modules.get("matplotlib.figure")  # whoever has one has imported it
    return figures is not None and isinstance(obj, figures.Figure)


def _drawn(figure: Any) -> bytes:
    import io

    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()
