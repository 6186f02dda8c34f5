"""Checks a template before it is saved: every variable, filter and tag is one that its kind of notice has.

The branches that a preview does not take are looked at too. What is not in the lists here is an error.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from liquid.ast import BlockNode, ConditionalBlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import (
    BooleanExpression,
    FilteredExpression,
    LoopExpression,
    Nil,
    Path,
    logical,
    primitive,
)
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression

from mailseal.notices.errors import TemplateError
from mailseal.notices.kinds import Variable
from mailseal.notices.template import FILTERS, Part, Template, line_of

Scope = Mapping[str, Variable]

_NUMBER = Variable("")
_LOOP = Variable("", fields=dict.fromkeys(("index", "index0", "rindex", "rindex0", "first", "last", "length"), ""))
_LITERALS = (
    Nil, primitive.Empty, primitive.Blank, primitive.TrueLiteral, primitive.FalseLiteral,
    primitive.StringLiteral, primitive.IntegerLiteral, primitive.FloatLiteral,
)  # fmt: skip
_LOGICAL = (
    BooleanExpression, logical.LogicalAndExpression, logical.LogicalOrExpression, logical.EqExpression,
    logical.NeExpression, logical.LeExpression, logical.GeExpression, logical.LtExpression, logical.GtExpression,
    logical.ContainsExpression,
)  # fmt: skip
_TRANSPARENT = (BlockNode, ContentNode, CommentNode, OutputNode, IfNode, UnlessNode, ConditionalBlockNode)


def check(template: Template, known: Scope) -> None:
    """Raise TemplateError for what the template uses and `known` (`Kind.known`) has not."""
    _Check(template.part).nodes(template.compiled.nodes, known)


class _Check:
    def __init__(self, part: Part) -> None:
        self._part = part
        self._of: Mapping[type, Callable[[Any, Scope], None]] = MappingProxyType(
            {ForNode: self._loop} | dict.fromkeys(_TRANSPARENT, self._plain)
        )

    def nodes(self, nodes: list[Node], scope: Scope) -> None:
        for node in nodes:
            look = self._of.get(type(node))
            if look is None:
                raise self._error("such a tag is not known", node.token)
            look(node, scope)

    def _plain(self, node: Node, scope: Scope) -> None:
        for expression in node.expressions():
            self._expression(expression, scope)
        self.nodes(list(node.children(None)), scope)  # type: ignore[arg-type]  # read by no node that is known here

    def _loop(self, node: ForNode, scope: Scope) -> None:
        loop: LoopExpression = node.expression
        for one in (loop.limit, loop.offset):
            if one is not None:
                self._expression(one, scope)
        if not isinstance(loop.iterable, Path):
            raise self._error("a loop goes over a variable that is a list", loop.token)
        variable = self._variable(loop.iterable, scope)
        if not variable.many:
            raise self._error(f"{loop.iterable} is no list", loop.token)
        element = Variable(variable.help, fields=variable.fields)
        self.nodes([node.block], {**scope, "forloop": _LOOP, str(loop.identifier): element})
        if node.default is not None:
            self.nodes([node.default], scope)

    def _expression(self, expression: Expression, scope: Scope) -> None:
        if isinstance(expression, Path):
            self._value(expression, scope)
        elif type(expression) is FilteredExpression:
            self._filtered(expression, scope)
        elif type(expression) in _LOGICAL:
            for one in expression.children():
                self._condition(one, scope)
        elif type(expression) not in _LITERALS:
            raise self._error("such an expression is not known", expression.token)

    def _condition(self, expression: Expression, scope: Scope) -> None:
        """Of a list, a condition may ask whether it has elements."""
        if isinstance(expression, Path):
            self._variable(expression, scope)
        else:
            self._expression(expression, scope)

    def _filtered(self, expression: FilteredExpression, scope: Scope) -> None:
        filters = expression.filters or []
        for one in filters:
            if one.name not in FILTERS:
                raise self._error(f"there is no filter {one.name!r}; there are {', '.join(FILTERS)}", one.token)
            for argument in one.children():
                self._expression(argument, scope)
        if filters and isinstance(expression.left, Path):
            variable = self._variable(expression.left, scope)
            if variable.fields and filters[0].name != "size":
                raise self._error(f"{expression.left} is a list of records: go through it with `for`", expression.token)
        else:
            self._expression(expression.left, scope)

    def _value(self, path: Path, scope: Scope) -> None:
        """Something that can be printed."""
        variable = self._variable(path, scope)
        if variable.many or variable.fields:
            what = "go through it with `for`" if variable.many else f"take one of {', '.join(variable.fields)}"
            raise self._error(f"{path} is no text: {what}", path.token)

    def _variable(self, path: Path, scope: Scope) -> Variable:
        names = path.path
        if not all(isinstance(name, str) for name in names):
            raise self._error("a variable is written with dots only", path.token)
        variable = scope.get(str(names[0]))
        if variable is None:
            raise self._error(f"there is no variable {names[0]!r} here; there are {', '.join(scope)}", path.token)
        for name in names[1:]:
            if not (name == "size" if variable.many else name in variable.fields):
                raise self._error(f"{path}: there is no {name!r}", path.token)
            variable = _NUMBER
        return variable

    def _error(self, problem: str, token: Any) -> TemplateError:
        return TemplateError(problem, part=self._part, line=line_of(token))
