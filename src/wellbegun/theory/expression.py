"""Activations written as text, such as "x * tanh(log1p(exp(x)))": parsed, never evaluated as Python."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError, closest_names, join_names
from wellbegun.theory.formulas import ALIASES, FORMULAS, Formula

Array = npt.NDArray[np.float64]
Values = Array | float
Part = Callable[[Array], Values]

LONGEST, DEEPEST = 2000, 60
"""Characters and nested parts of an expression: more than anybody writes, less than the parser's stack."""

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}

LIBRARIES = frozenset({"np", "numpy", "math", "torch", "F"})
"""Prefixes that change nothing: np.tanh(x) is tanh(x)."""

OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.Mod: np.mod,
    ast.FloorDiv: np.floor_divide,
    ast.UAdd: np.positive,
    ast.USub: np.negative,
    ast.Not: np.logical_not,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


def is_expression(text: str) -> bool:
    """Tell an expression from a name: it has the variable x as a word of its own, or parentheses.

    >>> is_expression("x * sigmoid(x)"), is_expression("leaky_relu_0.2"), is_expression("hard-swish")
    (True, False, False)
    """
    return re.search(r"\bx\b|\(", text) is not None


def parse_expression(text: str) -> Callable[[Array], Array]:
    """Return an expression in x as a function from float64 array to float64 array.

    >>> parse_expression("x if x > 0 else 0.1 * x")(np.array([-2.0, 3.0]))
    array([-0.2,  3. ])
    >>> parse_expression("__import__('os')")
    Traceback (most recent call last):
    wellbegun.errors.ArgumentError: in the activation "__import__('os')": there is no function '__import__'; ...

    text: numbers, x, pi and e; + - * / // % **; comparisons, and, or, not, `a if condition else b`; functions (`exp`,
    `log1p`, `tanh`, `maximum`, `clip`, `where`, `floor` ...) and every named activation with its parameters, such as
    `elu(x, 0.5)` or `softplus(x, beta=2)`. ^ is not a power: write **.
    ArgumentError: anything else, with what it is and where.
    """
    if len(text) > LONGEST:
        raise ArgumentError(f"the activation has {len(text)} characters; an expression may have {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as failure:
        reason = failure.msg if isinstance(failure, SyntaxError) else str(failure) or type(failure).__name__
        raise ArgumentError(f'the activation "{text}" is not an expression: {reason}') from None
    part = _Builder(text).build(tree.body)
    if not any(isinstance(node, ast.Name) and node.id == "x" for node in ast.walk(tree)):
        raise ArgumentError(f'the activation "{text}" does not use x, the number that goes in')

    def function(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.array(np.broadcast_to(part(x), x.shape), dtype=np.float64)

    return function


def function_names() -> tuple[str, ...]:
    """Return the names of all functions that an expression may use.

    >>> {"tanh", "where", "gelu"} <= set(function_names())
    True
    """
    return tuple(sorted({*_functions(), *FORMULAS, *ALIASES}))


def is_function(name: str) -> bool:
    """Tell whether a word is a function of one number, such as "sign" or "floor".

    >>> is_function("sign"), is_function("maximum"), is_function("rellu")
    (True, False, False)
    """
    return _functions().get(name, (None, 0, 0))[1] == 1


class _Builder:
    """Turns the parts of one expression into functions."""

    def __init__(self, text: str) -> None:
        self.text = text

    def build(self, node: ast.AST, depth: int = 0) -> Part:
        """Return the function of one part."""
        if depth > DEEPEST:
            raise self.refused(f"parts are nested more than {DEEPEST} deep")
        inner = depth + 1
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return _constant(self.number(number))
            case ast.Name(id="x"):
                return lambda x: x
            case ast.Name(id=name) if name in CONSTANTS:
                return _constant(CONSTANTS[name])
            case ast.Name(id=name):
                raise self.refused(f"{name!r} is not known; the variable is x, constants are {join_names(CONSTANTS)}")
            case ast.UnaryOp(op=operator, operand=operand) if type(operator) in OPERATORS:
                return _combined(OPERATORS[type(operator)], self.build(operand, inner))
            case ast.BinOp(op=ast.BitXor()):
                raise self.refused("^ is not a power; write **")
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in OPERATORS:
                return _combined(OPERATORS[type(operator)], self.build(left, inner), self.build(right, inner))
            case ast.BoolOp(op=operator, values=values):
                return self.joined(OPERATORS[type(operator)], [self.build(value, inner) for value in values])
            case ast.Compare(left=left, ops=operators, comparators=others):
                sides = [self.build(side, inner) for side in (left, *others)]
                if any(type(operator) not in OPERATORS for operator in operators):
                    raise self.refused("comparisons are <, <=, >, >=, == and !=")
                pairs = zip(operators, sides, sides[1:], strict=False)
                return self.joined(np.logical_and, [_combined(OPERATORS[type(op)], a, b) for op, a, b in pairs])
            case ast.IfExp(test=test, body=body, orelse=other):
                return _combined(np.where, *(self.build(part, inner) for part in (test, body, other)))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=named):
                return self.call(name, arguments, named, inner)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name), args=arguments, keywords=named) if (
                owner in LIBRARIES
            ):
                return self.call(name, arguments, named, inner)
        raise self.refused(f"{ast.unparse(node)!r} is not allowed; use numbers, x, operators and functions")

    def joined(self, operator: Callable[..., Any], parts: list[Part]) -> Part:
        """Return parts joined by a two-sided operator."""
        whole = parts[0]
        for part in parts[1:]:
            whole = _combined(operator, whole, part)
        return whole

    def call(self, name: str, arguments: list[ast.expr], named: list[ast.keyword], depth: int) -> Part:
        """Return a function's call."""
        functions, formula = _functions(), FORMULAS.get(ALIASES.get(name, name))
        if name not in functions and formula is None:
            closest = closest_names(name, function_names())
            offer = f"did you mean {join_names(closest)}?" if closest else f"known: {', '.join(function_names())}"
            raise self.refused(f"there is no function {name!r}; {offer}")
        parts = [self.build(argument, depth) for argument in arguments]
        if formula is not None and name not in functions:
            return self.activation(name, formula, parts, named)
        function, least, most = functions[name]
        if named or not least <= len(parts) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise self.refused(f"{name} takes {wanted} arguments without names, not {len(parts) + len(named)}")
        return _combined(function, *parts)

    def activation(self, name: str, formula: Formula, parts: list[Part], named: list[ast.keyword]) -> Part:
        """Return a named activation of a part, with numbers for parameters."""
        allowed = list(formula.defaults)
        given = dict(zip(["", *allowed], parts, strict=False))
        for keyword in named:
            if keyword.arg not in allowed or keyword.arg in given:
                free = ", ".join(key for key in allowed if key not in given) or "no more"
                raise self.refused(f"{name} has no parameter {keyword.arg!r} to set; it takes {free}")
            given[keyword.arg] = self.build(keyword.value)
        if "" not in given or len(parts) > 1 + len(allowed):
            raise self.refused(f"{name} takes x and {len(allowed)} parameters, not {len(parts)} arguments")
        inner = given.pop("")
        values = {**formula.defaults, **{key: self.parameter(name, key, part) for key, part in given.items()}}
        return lambda x: formula.evaluate(np.asarray(inner(x), dtype=np.float64), **values)

    def parameter(self, name: str, key: str, part: Part) -> float:
        """Return a parameter's number: it may be computed, but not from x."""
        values = np.asarray(part(np.array([0.25, 0.75])), dtype=np.float64)
        if values.ndim and np.ptp(values) != 0:
            raise self.refused(f"the parameter {key} of {name} has to be a number, without x")
        return float(values.flat[0])

    def number(self, given: float) -> float:
        """Return a number as float64, so that powers of whole numbers stay small."""
        try:
            return float(given)
        except OverflowError:
            raise self.refused("a number is too large") from None

    def refused(self, reason: str) -> ArgumentError:
        """Return the error for something that is not allowed."""
        return ArgumentError(f'in the activation "{self.text}": {reason}')


def _constant(number: float) -> Part:
    return lambda _: number


def _combined(function: Callable[..., Any], *parts: Part) -> Part:
    """Return a function of the parts' values; comparisons become 0 and 1, which can be added and multiplied."""
    return lambda x: np.asarray(function(*(part(x) for part in parts)), dtype=np.float64)


def _functions() -> dict[str, tuple[Callable[..., Any], int, int]]:
    """Return functions by name, with the least and the largest number of arguments."""
    one = {
        name: getattr(np, name)
        for name in (
            "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "square", "sign", "floor",
            "ceil", "round", "trunc", "tan", "sinh", "cosh", "arcsin", "arccos", "arcsinh", "arctan", "sinc",
        )
    }  # fmt: skip
    two = {name: getattr(np, name) for name in ("maximum", "minimum", "power", "logaddexp", "arctan2", "hypot", "mod")}
    three = {"where": np.where, "clip": np.clip}
    short = {"max": np.maximum, "min": np.minimum}
    counted = [(one, 1), (two | short, 2), (three, 3)]
    table: dict[str, tuple[Callable[..., Any], int, int]]
    table = {name: (function, count, count) for group, count in counted for name, function in group.items()}
    table |= {name: (FORMULAS[name].evaluate, 1, 1) for name in ("tanh", "cos", "abs", "erf", "sigmoid")}
    table |= {"asinh": (np.arcsinh, 1, 1), "expit": table["sigmoid"], "erfc": (_erfc, 1, 1)}
    return table | {"heaviside": (_heaviside, 1, 2), "step": (_heaviside, 1, 2)}


def _heaviside(x: Values, at_zero: Values = 0.0) -> Any:
    return np.heaviside(x, at_zero)


def _erfc(x: Values) -> Any:
    from scipy import special

    return special.erfc(x)
