"""What can be changed in a source file: one small edit at a time, as text, so that its layout stays.

Not changed are what no test should fix: docstrings, types, messages (raise, warnings, print, f-strings),
`__repr__`, and blocks for type checkers.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}
COMPARISON = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
EXACT = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)  # whose change is their negation
BOOLEAN = {ast.And: ("and", "or"), ast.Or: ("or", "and")}
PAIRS = [("min", "max"), ("minimum", "maximum"), ("amin", "amax"), ("argmin", "argmax")]
PAIRS += [("any", "all"), ("zeros", "ones"), ("zeros_like", "ones_like"), ("floor", "ceil")]
TWINS = dict(PAIRS) | {second: first for first, second in PAIRS}
COPIES = {"clone", "copy", "detach", "deepcopy"}  # left out: what they gave is shared
MESSAGES = {"warn", "print", "tqdm", "write", "debug", "info", "add_argument"}
TYPES = {"cast", "TypeVar", "isinstance", "issubclass"}
SILENT = {"__repr__", "__str__"}


@dataclass(frozen=True)
class Mutant:
    """One edit of one file: bytes [start, end) become `after`."""

    path: str
    line: int
    column: int
    operator: str
    where: str  # the function or class around it
    before: str
    after: str
    start: int
    end: int
    lines: tuple[int, int]  # first and last line of the statement; of a block, of its head
    owner: str  # what holds it: "function", "default" (of an argument) or "module"

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}:{self.column}:{self.operator}"

    def edit(self, source: bytes) -> str:
        """The line with the edit in it: ``if low {< => <=} high:``."""
        head = source[source.rfind(b"\n", 0, self.start) + 1 : self.start].decode()
        tail = source[self.end :].partition(b"\n")[0].decode()
        return " ".join(f"{head}{{{self.before} => {self.after}}}{tail}".split())

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """All the mutants of a file, in the order of its text."""
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    found = {(mutant.start, mutant.operator): mutant for mutant in finder.found}
    return [found[key] for key in sorted(found)]


def is_change(mutant: Mutant, source: bytes) -> bool:
    """Whether a mutant compiles, and to something else than its source."""
    try:
        return ast.dump(ast.parse(mutant.apply(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.source, self.found = path, source, list[Mutant]()
        self.offsets = [0]
        for line in source.splitlines(keepends=True):
            self.offsets.append(self.offsets[-1] + len(line))
        self.scope: list[str] = []
        self.lines, self.owner = (1, 1), "module"
        self.assigned: set[str] = set()  # names that the function at hand has had a value for

    # -- edits ----------------------------------------------------------------------------------

    def start(self, node: Any) -> int:
        return int(self.offsets[node.lineno - 1] + node.col_offset)

    def end(self, node: Any) -> int:
        return int(self.offsets[node.end_lineno - 1] + node.end_col_offset)

    def text(self, node: ast.AST) -> str:
        return self.source[self.start(node) : self.end(node)].decode()

    def replace(self, start: int, end: int, operator: str, after: str) -> None:
        line = self.source.count(b"\n", 0, start) + 1
        before, where = self.source[start:end].decode(), ".".join(self.scope) or "module"
        column = start - self.offsets[line - 1]
        self.found.append(
            Mutant(
                *(self.path, line, column, operator, where, before, after, start, end),
                *(self.lines, self.owner),
            )
        )

    def change(self, node: ast.AST, operator: str, after: str) -> None:
        self.replace(self.start(node), self.end(node), operator, after)

    def between(self, left: ast.AST, right: ast.AST, operator: str, pair: tuple[str, str]) -> None:
        """Replaces the operator between two operands."""
        gap = self.source[self.end(left) : self.start(right)].decode()
        found = re.search(re.escape(pair[0]).replace(r"\ ", r"\s+"), gap)
        if found and "#" not in gap[: found.start()]:
            first = self.end(left) + len(gap[: found.start()].encode())
            self.replace(first, first + len(found[0].encode()), operator, pair[1])

    def negate(self, test: ast.expr) -> None:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return  # the operator "not" does the same
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in EXACT:
            return  # so does "compare"
        self.change(test, "negate", f"not ({self.text(test)})")

    # -- where we are ---------------------------------------------------------------------------

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
            self.lines = (node.lineno, last or node.lineno)
        super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in SILENT:
            return
        outer = self.scope, self.owner, self.assigned, self.lines
        self.scope = [*self.scope, node.name]
        self.owner, self.lines = "default", (node.body[0].lineno, node.end_lineno or node.lineno)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self.owner, self.assigned = "function", set()
        for statement in node.body:
            self.visit(statement)
        self.scope, self.owner, self.assigned, self.lines = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def skip(self, node: ast.AST) -> None:
        """Leaves a node as it is, with all in it."""

    visit_Raise = visit_Assert = visit_JoinedStr = visit_Import = visit_ImportFrom = skip

    # -- statements -----------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        targets = [part for target in node.targets for part in ast.walk(target)]
        names = {part.id for part in targets if isinstance(part, ast.Name) and _is_stored(part)}
        # Else what follows has no value, and any test sees it.
        if self.owner == "function" and names <= self.assigned and self.scope[-1] != "__init__":
            self.change(node, "delete", "pass")
        self.assigned |= names
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.change(node, "delete", "pass")
        pair = ARITHMETIC.get(type(node.op))
        if pair:
            self.between(node.target, node.value, "arithmetic", (pair[0] + "=", pair[1] + "="))
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)  # and not the annotation

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call) and _called(node.value) not in MESSAGES:
            self.change(node, "delete", "pass")
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in self.text(node.test) or "__name__" in self.text(node.test):
            return
        self.negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    # -- expressions ----------------------------------------------------------------------------

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.negate(test)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in ARITHMETIC:
            self.between(node.left, node.right, "arithmetic", ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right, op in zip(operands[:-1], operands[1:], node.ops, strict=True):
            self.between(left, right, "compare", COMPARISON[type(op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values[:-1], node.values[1:], strict=True):
            self.between(left, right, "boolean", BOOLEAN[type(node.op)])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            name = "not" if isinstance(node.op, ast.Not) else "sign"
            self.change(node, name, f"({self.text(node.operand)})")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        ends = {"0": "-1", "-1": "0"}
        if self.text(node.slice) in ends:
            self.change(node.slice, "index", ends[self.text(node.slice)])
            self.visit(node.value)
        else:
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.change(node, "bool", str(not node.value))
        elif isinstance(node.value, int):
            self.change(node, "plus-one", str(node.value + 1))
            self.change(node, "minus-one", f"({node.value - 1})")
        elif isinstance(node.value, float):
            self.change(node, "ten-times", repr(node.value * 10 or 1.0))
            if node.value:
                self.change(node, "minus", f"(-{self.text(node)})")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in TWINS and isinstance(node.ctx, ast.Load):
            self.change(node, "twin", TWINS[node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in TWINS and isinstance(node.ctx, ast.Load):
            self.replace(self.end(node) - len(node.attr), self.end(node), "twin", TWINS[node.attr])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _called(node)
        if name in MESSAGES or name in TYPES:
            return
        if name in COPIES:
            if node.args:  # copy.deepcopy(x)
                self.change(node, "uncopied", self.text(node.args[0]))
            elif isinstance(node.func, ast.Attribute):  # x.clone()
                self.change(node, "uncopied", self.text(node.func.value))
        for keyword in node.keywords:
            if keyword.arg is not None:
                tail = re.match(rb"\s*,?", self.source[self.end(keyword) :])
                length = len(tail[0]) if tail else 0
                end = self.end(keyword) + length
                self.replace(self.start(keyword), end, "keyword", "")
        self.generic_visit(node)


def _called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    function = node.func
    return getattr(function, "attr", None) or getattr(function, "id", "")


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)
