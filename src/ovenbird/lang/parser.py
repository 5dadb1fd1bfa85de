"""The parser of matches (ovn-sb(5), column match of Logical_Flow), by recursive descent over `lexer.Tokens`.

Invariants: every returned tree is well typed: constants fit their field, nominal fields and predicates are used in the
positive sense only, relational operators with ordinal fields only. The members of an address set are checked when the
match is compiled. `parse` caches trees by text, because the same few thousand matches are parsed repeatedly.
"""

from __future__ import annotations

from ovenbird.lang.ast import (
    AddressSet,
    Boolean,
    Compare,
    Constant,
    Expr,
    FieldRef,
    Integer,
    Not,
    PortGroup,
    Relop,
    Resident,
    String,
    Test,
    conjunction,
    disjunction,
)
from ovenbird.lang.constant import parse_constant
from ovenbird.lang.errors import FieldError, LangError, ParseError, UnknownNameError
from ovenbird.lang.lexer import Format, Token, Tokens
from ovenbird.lang.symbols import SYMBOLS, Level, Scope
from ovenbird.lang.text_cache import cached_by_text

_RELATIONS = {relation.value: relation for relation in Relop}
_MAX_DEPTH = 100  # parentheses deeper than this are a mistake or an attack


@cached_by_text
def parse(text: str) -> Expr:
    """Parse a match; raise the subclass of `LangError` for the kind of error, with the span of the faulty part."""
    tokens = Tokens(text)
    expr = parse_match(tokens)
    tokens.expect("end")
    return expr


def parse_match(tokens: Tokens) -> Expr:
    """Parse a match from a cursor, up to the first token that is not part of it."""
    return _Parser(tokens).expression()


def parse_field(tokens: Tokens) -> FieldRef:
    """Parse a symbol, perhaps followed by bits in brackets, such as `eth.dst[40]` or `reg0[0..15]`.

    Raises:
        LangError: there is no such symbol, or it does not have these bits.
    """
    token = tokens.token
    symbol = SYMBOLS.get(token.name) if token.kind == "id" else None
    if symbol is None:
        error = tokens.syntax_error("expecting field name")
        kind = UnknownNameError if token.kind == "id" else ParseError
        raise kind(error.message, text=error.text, span=(error.start, error.end))
    tokens.advance()
    if tokens.token.kind != "[":
        return FieldRef(symbol, ofs=0, n_bits=symbol.width, span=(token.start, token.end))
    bracket = tokens.advance()
    if symbol.is_string:
        raise FieldError(
            f"Cannot select subfield of string field {symbol.name}.",
            text=tokens.text,
            span=(bracket.start, bracket.end),
        )
    low = tokens.expect_int()
    high = tokens.expect_int() if tokens.take("..") else low
    end = tokens.expect("]").end
    if low > high:
        raise FieldError(f"Invalid bit range {low} to {high}.", text=tokens.text, span=(bracket.start, end))
    if high >= symbol.width:
        message = f"Cannot select bits {low} to {high} of {symbol.width}-bit field {symbol.name}."
        raise FieldError(message, text=tokens.text, span=(bracket.start, end))
    if symbol.level is Level.NOMINAL and high - low + 1 != symbol.width:
        raise FieldError(
            f"Cannot select subfield of nominal field {symbol.name}.", text=tokens.text, span=(bracket.start, end)
        )
    return FieldRef(symbol, ofs=low, n_bits=high - low + 1, span=(token.start, end))


def check_constant(field: FieldRef, constant: Constant, text: str = "", span: tuple[int, int] = (0, 0)) -> None:
    """Check that a constant has the type of a field and fits its width.

    A constant for bits in brackets may be as wide as the whole symbol, and its low bits count, as in OVN.

    Arguments:
        field: the field.
        constant: the constant.
        text: the text that holds both, for the error.
        span: the part of the text that the error shows.

    Raises:
        FieldError: the constant has another type or does not fit.
    """
    symbol = field.symbol
    if isinstance(constant, (String, PortGroup)) != symbol.is_string:
        field_type, constant_type = ("String", "integer") if symbol.is_string else ("Integer", "string")
        message = f"{field_type} field {symbol.name} is not compatible with {constant_type} constant."
        raise FieldError(message, text=text, span=span)
    if isinstance(constant, Integer) and constant.width > symbol.width:
        message = f"{constant.width}-bit constant is not compatible with {symbol.width}-bit field {symbol.name}."
        raise FieldError(message, text=text, span=span)


def check_writable(field: FieldRef, scope: Scope = Scope.ANYWHERE, text: str = "") -> None:
    """Check that actions may assign to a field.

    Arguments:
        field: the field.
        scope: the block that the action is in.
        text: the text that holds the field, for the error.

    Raises:
        FieldError: actions in this scope may not assign to it.
    """
    symbol = field.symbol
    if symbol.is_predicate:
        raise FieldError(f"Predicate symbol {symbol.name} used where lvalue required.", text=text, span=field.span)
    if not symbol.writable(scope):
        where = "" if symbol.scope is Scope.NOWHERE else " here"
        raise FieldError(f"Field {symbol.name} is not modifiable{where}.", text=text, span=field.span)


class _Parser:
    """The state of parsing one match: the cursor, whether it is inside an odd number of `!`, the parentheses' depth."""

    __slots__ = ("depth", "negative", "tokens")

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.negative = False
        self.depth = 0

    def expression(self) -> Expr:
        tokens = self.tokens
        terms = [self.operand()]
        operator = tokens.token.kind
        if operator not in ("&&", "||"):
            return terms[0]
        while tokens.take(operator):
            terms.append(self.operand())
        if tokens.token.kind in ("&&", "||"):
            raise self.error(ParseError, "&& and || must be parenthesized when used together.", tokens.token)
        return conjunction(terms) if operator == "&&" else disjunction(terms)

    def operand(self) -> Expr:
        bang = self.tokens.take("!")
        if bang is None:
            return self.primary()[0]
        self.negative = not self.negative
        expr, atomic = self.primary()
        self.negative = not self.negative
        if not atomic:
            raise self.error(ParseError, "Missing parentheses around operand of !.", bang)
        return Not(expr)

    def primary(self) -> tuple[Expr, bool]:
        """Parse one operand; return it, and whether it is atomic, that is, may follow `!` without parentheses."""
        tokens = self.tokens
        token = tokens.token
        if token.kind == "(":
            return self.parenthesized(), True
        if token.kind == "template":
            raise self.error(ParseError, "Unexpanded template.", token)
        if token.kind != "id":
            return self.constant_first()
        if tokens.peek().kind == "(":
            return self.function(), True
        field = parse_field(tokens)
        relation = _RELATIONS.get(tokens.token.kind)
        if relation is None:
            return self.test(field), True
        tokens.advance()
        constants, braces = self.constants()
        return self.compare(field, relation, constants, braces), False

    def parenthesized(self) -> Expr:
        opening = self.tokens.advance()
        if self.depth >= _MAX_DEPTH:
            raise self.error(ParseError, "Parentheses nested too deeply.", opening)
        self.depth += 1
        expr = self.expression()
        self.depth -= 1
        self.tokens.expect(")")
        return expr

    def function(self) -> Expr:
        tokens = self.tokens
        if not tokens.take_name("is_chassis_resident"):
            raise self.error(UnknownNameError, f"There is no function {tokens.token.name}.", tokens.token)
        tokens.expect("(")
        port = tokens.expect("string")
        tokens.expect(")")
        return Resident(port.name, (port.start, port.end))

    def test(self, field: FieldRef) -> Expr:
        tokens, symbol = self.tokens, field.symbol
        if symbol.is_string or tokens.token.kind == "=":
            raise tokens.syntax_error("expecting relational operator")
        if field.n_bits > 1 and not self.negative:
            message = "Explicit `!= 0' is required for inequality test of multibit field against 0."
            raise FieldError(message, text=tokens.text, span=field.span)
        self.check_positive(field, Relop.NE, (Integer(0),))
        return Test(field)

    def constant_first(self) -> tuple[Expr, bool]:
        tokens = self.tokens
        first = tokens.token
        constants, braces = self.constants()
        literal = constants[0]
        relation = _RELATIONS.get(tokens.token.kind)
        if relation is None:
            plain = not braces and isinstance(literal, Integer) and literal.mask is None
            if plain and first.format is Format.DECIMAL and first.value <= 1:
                return Boolean(bool(first.value)), True
            raise tokens.syntax_error("expecting relational operator")
        tokens.advance()
        field = parse_field(tokens)
        left = self.compare(field, relation.turned, constants, braces)
        second_token = tokens.token
        second = _RELATIONS.get(second_token.kind)
        if second is None:
            return left, False
        tokens.advance()
        pair = {relation.value[0], second.value[0]}
        if pair not in ({"<"}, {">"}):
            message = (
                "Range expressions must have the form `x < field < y' or `x > field > y', "
                "with each `<' optionally replaced by `<=' or `>' by `>=')."
            )
            raise self.error(ParseError, message, second_token)
        constants, braces = self.constants()
        return conjunction([left, self.compare(field, second, constants, braces)]), False

    def constants(self) -> tuple[tuple[Constant, ...], bool]:
        tokens = self.tokens
        if not tokens.take("{"):
            return (parse_constant(tokens),), False
        constants = [parse_constant(tokens)]
        tokens.take(",")
        while not tokens.take("}"):
            token = tokens.token
            constant = parse_constant(tokens)
            if isinstance(constant, (String, PortGroup)) != isinstance(constants[0], (String, PortGroup)):
                raise self.error(FieldError, "Integer and string constants cannot be mixed in one set.", token)
            constants.append(constant)
            tokens.take(",")
        return tuple(constants), True

    def compare(self, field: FieldRef, relation: Relop, constants: tuple[Constant, ...], braces: bool) -> Compare:
        symbol, text = field.symbol, self.tokens.text
        for constant in constants:
            check_constant(field, constant, text, field.span)
        if relation not in (Relop.EQ, Relop.NE):
            only = "Only == and != operators may be used"
            if braces:
                raise FieldError(f"{only} with value sets.", text=text, span=field.span)
            if symbol.level is not Level.ORDINAL:
                raise FieldError(f"{only} with {symbol.level.value} field {symbol.name}.", text=text, span=field.span)
            if isinstance(constants[0], AddressSet):
                raise FieldError(f"{only} with address sets.", text=text, span=constants[0].span)
            if isinstance(constants[0], Integer) and constants[0].mask is not None:
                message = f"{only} with masked constants.  Compare a subfield instead, such as eth.src[0..15] > 0x1111."
                raise FieldError(message, text=text, span=field.span)
        self.check_positive(field, relation, constants)
        return Compare(field, relation, constants, braces, field.span)

    def check_positive(self, field: FieldRef, relation: Relop, constants: tuple[Constant, ...]) -> None:
        """Refuse a nominal field or predicate that is negated, by its operator or by enclosing `!`."""
        symbol, text = field.symbol, self.tokens.text
        if symbol.level is not Level.NOMINAL:
            return
        negative = (relation is Relop.NE) != self.negative
        if not symbol.is_predicate:
            if negative:
                message = (
                    f"Nominal field {symbol.name} may only be tested for equality "
                    "(taking enclosing `!' operators into account)."
                )
                raise FieldError(message, text=text, span=field.span)
        elif any(isinstance(constant, Integer) and bool(constant.value & 1) == negative for constant in constants):
            name = symbol.name
            message = (
                f"Nominal predicate {name} may only be tested positively, "
                f"e.g. `{name}' or `{name} == 1' but not `!{name}' or `{name} == 0'."
            )
            raise FieldError(message, text=text, span=field.span)

    def error(self, kind: type[LangError], message: str, token: Token) -> LangError:
        return kind(message, text=self.tokens.text, span=(token.start, token.end))
