"""Our own rules for the code itself: nothing in it runs other code, opens another way out, or tells secrets.

They work on the syntax tree and complement ruff's: names are followed through imports and aliases, and no comment
switches them off. Pure.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping

from contracts.reports import Finding, Severity
from services.reviewer import imports as rules

_CONFIG_NAME = re.compile(
    r"(^|_)(config|configuration|credentials?|secrets?|password|api_key|access_token|refresh_token|client_secret)$"
)
_PRINTS = re.compile(r"^(print|sys\.std(out|err)\.write|logging\.\w+|(\w+\.)*_?(log|logger)\.\w+)$")
_REVEALS = frozenset({"str", "repr", "dict", "vars", "format", "json.dumps", "msgspec.json.encode"})
_ABSOLUTE = re.compile(r"^(/(home|root|Users|etc|var|usr|opt|tmp|proc|sys|dev|mnt|srv)/[\w.]|[A-Za-z]:\\\w|~/\w)")
_MAX_CHAIN = 16
_INLINE_MYPY = re.compile(r"#\s*mypy:\s*\S")
_TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore")


def source_findings(
    path: str, content: bytes, *, package: str, tests: bool, public_texts: frozenset[str]
) -> Iterator[Finding]:
    """The findings of one Python file. In tests, processes, servers and the environment are fine.

    Args:
        public_texts: strings that stand in the API's own description (paths above all): never a path of a machine.
    """
    try:
        module = ast.parse(content, filename=path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        yield _finding(Severity.CRITICAL, "syntax", f"this is not Python: {type(error).__name__}", path, line)
        return
    names = _imported_names(module, package)
    for node in ast.walk(module):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node, path, package, tests)
        elif isinstance(node, ast.Name | ast.Attribute):
            yield from _names(node, path, names, tests)
        elif tests:
            continue
        elif isinstance(node, ast.Constant):
            yield from _paths(node, path, public_texts)
        elif isinstance(node, ast.Call):
            yield from _calls(node, path, names)
        elif isinstance(node, ast.keyword | ast.Assign):
            yield from _tls(node, path)
    yield from _comments(path, content)


# --- names and imports ----------------------------------------------------------------------------


def _imported_names(module: ast.Module, package: str) -> dict[str, str]:
    """Local name -> the dotted name that it was imported from (``from os import environ as e``)."""
    names: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = package if node.level else (node.module or "")
            names |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
    return names


def dotted(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """``a.b.c`` as the imports resolve it; None if it does not start at a plain name, or is absurdly long (each
    part of such a chain is looked at by itself anyway)."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < _MAX_CHAIN:
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join((names.get(node.id, node.id), *reversed(parts)))


def _imports(node: ast.Import | ast.ImportFrom, path: str, package: str, tests: bool) -> Iterator[Finding]:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif not node.level:
        modules = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return
    third_party = rules.TEST_THIRD_PARTY if tests else rules.THIRD_PARTY
    for module in modules:
        top = module.split(".")[0]
        why = rules.why_banned(module)
        if why and (not tests or top in rules.BANNED_IN_TESTS):
            yield _finding(Severity.CRITICAL, "import", f"{module}: {why}", path, node.lineno)
        elif (
            top not in rules.STANDARD_LIBRARY
            and top not in third_party
            and top not in (package, "conftest", "tests")
        ):
            yield _finding(Severity.HIGH, "import", f"{top}: not among the pinned dependencies", path, node.lineno)


def _names(node: ast.Name | ast.Attribute, path: str, names: Mapping[str, str], tests: bool) -> Iterator[Finding]:
    if isinstance(node, ast.Attribute) and node.attr in rules.ESCAPES:
        yield _finding(Severity.HIGH, "escape", f"{node.attr} reaches around the rules", path, node.lineno)
    name = dotted(node, names)
    if name is None:
        return
    if name == "__builtins__":
        yield _finding(Severity.HIGH, "escape", "__builtins__ reaches around the rules", path, node.lineno)
    banned = rules.BANNED_NAMES.get(name.removeprefix("builtins."))
    if banned is None:
        banned = next((rule for prefix, rule in rules.BANNED_PREFIXES.items() if name.startswith(prefix)), None)
    if banned and not (tests and name not in ("eval", "exec", "os.system")):
        severity, why = banned
        yield _finding(severity, "name", f"{name}: {why}", path, node.lineno)


# --- what is called, and with what -----------------------------------------------------------------


def _calls(node: ast.Call, path: str, names: Mapping[str, str]) -> Iterator[Finding]:
    name = dotted(node.func, names)
    if name is None:
        return
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    if name in ("compile", "input"):
        yield _finding(Severity.HIGH, "call", f"{name}() has no place in a connector", path, node.lineno)
    elif name == "getattr" and len(node.args) > 1:
        target = dotted(node.args[0], names)
        if target in names.values() and not isinstance(node.args[1], ast.Constant):
            yield _finding(Severity.HIGH, "escape", f"getattr on {target} with a computed name", path, node.lineno)
    elif name == "open" and _writes(node):
        yield _finding(Severity.MEDIUM, "write", "a connector writes to stdout, never to files", path, node.lineno)
    elif _PRINTS.match(name) and (secret := next(filter(None, map(_revealed, arguments)), None)):
        message = f"{name}() is given {secret!r}: config and credentials are never printed or logged"
        yield _finding(Severity.CRITICAL, "print", message, path, node.lineno)


def _writes(call: ast.Call) -> bool:
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax+")
        for mode in modes
    )


def _revealed(argument: ast.expr) -> str | None:
    """The name of a config or credential whose whole text ``argument`` would show.

    ``config.start_date`` shows one field and is judged by that field's name; ``len(config)`` shows nothing.
    """
    waiting: list[ast.AST] = [argument]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name | ast.Attribute):
            leaf = node.id if isinstance(node, ast.Name) else node.attr
            if _CONFIG_NAME.search(leaf.lower()):
                return leaf
        elif isinstance(node, ast.Call):
            function = dotted(node.func, {})
            if function in _REVEALS:
                waiting += node.args
            elif isinstance(node.func, ast.Attribute) and node.func.attr in ("model_dump", "model_dump_json"):
                waiting.append(node.func.value)
            elif isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join"):
                waiting += [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.JoinedStr | ast.FormattedValue | ast.BinOp | ast.Dict | ast.List | ast.Tuple):
            waiting += ast.iter_child_nodes(node)
    return None


def _tls(node: ast.keyword | ast.Assign, path: str) -> Iterator[Finding]:
    message = "it turns the check of TLS certificates off"
    if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
        off = node.arg == "cert_reqs" and node.value.value in ("CERT_NONE", "NONE", 0, None)
        if off or (node.arg in ("assert_hostname", "check_hostname", "verify") and node.value.value is False):
            yield _finding(Severity.HIGH, "tls", message, path, node.value.lineno)
    elif isinstance(node, ast.Assign) and _is_false(node.value):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr == "check_hostname":
                yield _finding(Severity.HIGH, "tls", message, path, node.lineno)


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _paths(node: ast.Constant, path: str, public_texts: frozenset[str]) -> Iterator[Finding]:
    if not isinstance(node.value, str):
        return
    text = node.value
    if "\n" not in text and _ABSOLUTE.match(text) and text not in public_texts:
        yield _finding(
            Severity.MEDIUM, "absolute-path", f"{text[:60]!r} is a path of one machine", path, node.lineno
        )


def _comments(path: str, content: bytes) -> Iterator[Finding]:
    """Comments that would switch the type checker off (ruff is told to ignore its own)."""
    try:
        for token in tokenize.tokenize(io.BytesIO(content).readline):
            if token.type != tokenize.COMMENT:
                continue
            line = token.start[0]
            if _INLINE_MYPY.search(token.string):
                yield _finding(Severity.HIGH, "comment", "it changes the type checker's rules", path, line)
            elif _TYPE_IGNORE.search(token.string):
                yield _finding(Severity.LOW, "comment", "it hides a type error", path, line)
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        yield _finding(Severity.HIGH, "syntax", "its comments cannot be read", path, None)


def _finding(severity: Severity, case: str, message: str, path: str, line: int | None) -> Finding:
    return Finding(severity=severity, rule=f"code {case}", message=message, file=path, line=line)
