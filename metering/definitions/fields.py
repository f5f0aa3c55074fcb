"""What a definition says of one value: a path, several, a constant, or a plugin over paths."""

from collections.abc import Callable
from typing import Any

from metering.definitions.expressions import compile_path, union
from metering.definitions.jsonpath import Body, Path, PathError
from metering.definitions.plugins import MANY, PLUGINS, Plugin


class FieldError(ValueError):
    """A field's definition is wrong; says what."""


class Field:
    """One compiled field of a definition.

    Errors: `first` and `all` raise PathError where a path cannot be applied to a body.
    """

    __slots__ = ("_constant", "_many", "_path", "_plugin", "first", "keys")

    def __init__(self, spec: Any) -> None:
        """Compile a definition's value. Raises FieldError."""
        self._plugin, self._many, fields = None, True, spec
        if isinstance(spec, dict):
            if "fields" not in spec:
                raise FieldError("needs fields")
            fields = spec["fields"]
            if spec.get("plugin") is not None:
                self._plugin, self._many = _plugin(spec["plugin"])
        self._constant = fields if _is_number(fields) else None
        self._path = None if _is_number(fields) else _path(fields)
        self.first: Callable[[Body], Any] = self._first_getter()
        self.keys = self._path.keys if self._path and not self._plugin else ()

    def _first_getter(self) -> Callable[[Body], Any]:
        path, plugin = self._path, self._plugin
        if path is None:
            return lambda body: self._constant
        if plugin is None:
            return path.first

        def first(body: Body) -> Any:
            values = plugin([match for match in path.find(body) if match[1] is not None])
            return next((value for value in values if value is not None), None)

        return first

    def all(self, body: Body) -> list[Any]:
        """Return every value, nulls too (where no plugin is at work): for look-ups."""
        if self._path is None:
            return [self._constant]
        matches = self._path.find(body)
        if self._plugin is None:
            return [value for _, value in matches]
        return [value for value in self._plugin(matches) if value is not None]

    def check_many(self) -> None:
        """Raise FieldError where the field can give only one value, so no look-up can use it."""
        if not self._many:
            raise FieldError("its plugin gives one value, a lookup needs one for each sample")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _path(fields: Any) -> Path:
    texts = fields if isinstance(fields, list) else [fields]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise FieldError("must be a JSONPath, a list of them, or a number")
    try:
        return union([compile_path(text) for text in texts])
    except PathError as error:
        raise FieldError(f"not a JSONPath: {' | '.join(texts)}: {error}") from error


def _plugin(spec: Any) -> tuple[Plugin, bool]:
    name = spec.get("name") if isinstance(spec, dict) else spec
    parameters = (spec.get("parameters") if isinstance(spec, dict) else None) or {}
    if name is None:
        raise FieldError("its plugin needs a name")
    if not isinstance(name, str) or name not in PLUGINS:
        raise FieldError(f"no plugin named {name!r}; there are {', '.join(sorted(PLUGINS))}")
    if not isinstance(parameters, dict):
        raise FieldError(f"plugin {name}: parameters must be a mapping")
    try:
        return PLUGINS[name](**parameters), name in MANY
    except (TypeError, ValueError) as error:
        raise FieldError(f"plugin {name}: {error}") from error
