"""`typing.NamedTuple`, made in half the time: the annotations of its fields are not compiled.

`typing.NamedTuple` compiles the annotation of every field, which is text, to an expression that nobody reads. For their
users the classes behave like the standard's; `Generic` as a second base class is not supported (ADR 21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

if TYPE_CHECKING:
    from typing import NamedTuple

else:
    from collections import namedtuple

    class _Maker(type):
        """Makes a class of `collections.namedtuple` of each class statement with the base class `NamedTuple`."""

        def __new__(cls, name: str, bases: tuple[type, ...], content: dict[str, object]) -> type:
            if len(bases) != 1:
                raise TypeError(f"{name}: a NamedTuple has no other base classes")
            fields = content.get("__annotations__", {})
            defaults = [content[field] for field in fields if field in content]
            made = namedtuple(name, fields, defaults=defaults, module=content["__module__"])  # noqa: PYI024 - that is it
            for key, value in content.items():
                if key not in fields:
                    setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
