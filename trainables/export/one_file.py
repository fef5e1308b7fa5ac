"""A class and all that it needs of ours as the text of one module, made out of the sources: it cannot drift from them.

A colleague who has torch and SeisBench, and nothing of ours, imports that file.
"""

from __future__ import annotations

import ast
import importlib.util
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

OURS = "trainables"
_LICENCE = "# SPDX-License-Identifier: GPL-3.0-or-later\n"

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def as_one_file(entry: type, docstring: str, without: Collection[str] = ()) -> str:
    """The text of a module that defines `entry`, and what of ours its source names, in the order of need.

    `without`: members of the class that only its caller here asks for. What is not ours is imported, as the sources do.
    """
    found = _Gathered(without)
    found.add(entry.__module__, entry.__name__)
    imports = "\n".join(sorted(found.plain_imports))
    imports += "".join(f"\nfrom {name} import {', '.join(sorted(its))}" for name, its in sorted(found.imports.items()))
    body = "\n\n\n".join(found.texts.values())
    return f'{_LICENCE}"""{docstring}"""\n\nfrom __future__ import annotations\n\n{imports}\n\n{body}\n'


class _Gathered:
    """Definitions, each after those that it names, and the imports of all."""

    def __init__(self, without: Collection[str]) -> None:
        self.without = without
        self.texts: dict[str, str] = {}
        self.plain_imports: set[str] = set()
        self.imports: dict[str, set[str]] = defaultdict(set)
        """Of modules that are not ours, by module."""
        self._of: dict[str, str] = {}

    def add(self, module: str, name: str) -> None:
        """A name at the top of one of our modules, with all that it needs."""
        if name in self._of:
            assert self._of[name] == module, f"{name} is one thing in {module} and another in {self._of[name]}"
            return
        self._of[name] = module
        source = _source(module)
        node = source.definitions[name]
        for needed in _names(node, self.without):
            if needed in source.definitions and needed != name:
                self.add(module, needed)
            elif needed in source.imports:
                origin, original = source.imports[needed]
                if not origin:
                    self.plain_imports.add(f"import {original}")
                elif origin.partition(".")[0] == OURS:
                    assert original == needed, f"{module} has another name for {original} of {origin}"
                    self.add(origin, original)
                else:
                    self.imports[origin].add(original)
        self.texts[name] = source.text(node, self.without)


class _Source:
    """A module's source: what it defines at its top, and what it imports."""

    def __init__(self, spec: ModuleSpec) -> None:
        self.lines = Path(spec.origin or "").read_text(encoding="utf-8").splitlines()
        self.nodes = ast.parse("\n".join(self.lines)).body
        self.definitions: dict[str, Definition] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        """By the name that it has here: of which module ("" for one as a whole), and what, with its `as`."""
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom | ast.Import):
                self._import(node)
            elif isinstance(node, Definition):
                self.definitions |= dict.fromkeys(_defined(node), node)

    def _import(self, node: ast.ImportFrom | ast.Import) -> None:
        for alias in node.names:
            called = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
            here = alias.asname or alias.name.partition(".")[0]
            self.imports[here] = (node.module or "") if isinstance(node, ast.ImportFrom) else "", called

    def text(self, node: Definition, without: Collection[str]) -> str:
        """The lines of a definition, with its decorators and the docstring of a constant."""
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        last = node.end_lineno or first
        after = self.nodes[self.nodes.index(node) + 1 :][:1]
        if isinstance(node, ast.Assign | ast.AnnAssign) and after and _is_docstring(after[0]):
            last = after[0].end_lineno or last
        left_out = [one for one in getattr(node, "body", []) if getattr(one, "name", None) in without]
        gone = {
            line
            for one in left_out
            for line in range(one.lineno - len(one.decorator_list), (one.end_lineno or 0) + 2)  # and the empty line
        }
        return "\n".join(self.lines[line - 1] for line in range(first, last + 1) if line not in gone)


@cache
def _source(module: str) -> _Source:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    return _Source(spec)


def _defined(node: Definition) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


def _names(node: ast.AST, without: Collection[str]) -> list[str]:
    """What a definition names, in the order of its text, annotations too."""
    parts = [one for one in ast.iter_child_nodes(node) if getattr(one, "name", None) not in without]
    return list(dict.fromkeys(one.id for part in parts for one in ast.walk(part) if isinstance(one, ast.Name)))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
