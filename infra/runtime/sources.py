"""Looks through Python sources that nobody vouches for, without running them. Fit for a child process."""

from __future__ import annotations

import warnings

from contracts.artifacts import Tree


def broken_sources(tree: Tree) -> list[str]:
    """What keeps the ``.py`` files of ``tree`` from being compiled, one line each with its place."""
    return [
        fault for path, content in sorted(tree.items()) if path.endswith(".py") and (fault := _fault(path, content))
    ]


def _fault(path: str, content: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubtful is not broken
            compile(content, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{path}, line {error.lineno or '?'}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes; nested too deep
        return f"{path}: {error or type(error).__name__}"
    return None
