"""The parameters of the API as fields of the configuration, and where each goes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.blueprint import Parameter, Request
from services.generator.compiler.credentials import Field, annotated
from services.generator.compiler.feasible import applies, named_variables
from services.generator.compiler.text import Names, literal

_TYPES = {"string": "Text", "integer": "int", "number": "float", "boolean": "bool"}

_OWN = frozenset({"credentials", "start_date", "lookback_days", "base_url"})
_RESERVED = _OWN | {
    *("root", "variables", "query", "headers", "on_server"),
    *("copy", "json", "schema", "dict", "validate", "construct", "fields"),
}

_SECRET_NAMES = frozenset(
    {
        *(
            "access_token",
            "api_key",
            "api_token",
            "app_id",
            "appid",
            "certificate",
            "client_secret",
            "client_token",
        ),
        *("credentials", "jwt", "key", "password", "refresh_token", "secret", "service_account_info", "tenant_id"),
        "token",
    }
)
"""Fields of such names have to be marked as secrets, says Airbyte's acceptance test."""


_FORMS: Mapping[str, dict[str, Any]] = {
    "date": {"format": "date", "examples": ["2020-01-01"]},
    "date-time": {"format": "date-time", "examples": ["2020-01-01T00:00:00Z"]},
}
"""What the form of the configuration says of a time. No pattern: the API may take more than one spelling."""


@dataclass(frozen=True)
class Setting:
    """One parameter: its field, and ``variable``, the name by which requests refer to it."""

    parameter: Parameter
    field: Field
    variable: str


def plan_settings(
    parameters: Iterable[Parameter], told: Callable[[Parameter], str] = lambda parameter: ""
) -> tuple[Setting, ...]:
    """``told`` is what the configuration's form says of a parameter besides its description."""
    parameters = tuple(parameters)
    targets = Counter(parameter.target for parameter in parameters)
    attributes, names = Names(_RESERVED), set(_OWN)
    planned = []
    for parameter in parameters:
        name = parameter.name
        while name in names:
            name += "_"
        names.add(name)
        attribute = attributes.attribute(name if not name.startswith("model_") else f"the_{name}")
        variable = parameter.target if targets[parameter.target] == 1 else f"config.{name}"
        planned.append(Setting(parameter, _field(parameter, name, attribute, told(parameter)), variable))
    return tuple(planned)


def _field(parameter: Parameter, name: str, attribute: str, told: str) -> Field:
    secret = parameter.type == "string" and (parameter.secret or name.lower() in _SECRET_NAMES)
    default = None if secret else _default(parameter)
    form = parameter.format if parameter.type == "string" and not secret else None
    until_now = parameter.until_now and default is None and form in _FORMS
    required = parameter.required and default is None and not until_now
    enum = parameter.enum if parameter.type == "string" and not secret else ()
    type_ = "Secret" if secret else _type(parameter, enum, form)
    annotation = annotated(type_, name, attribute, required=required, default=default)
    if until_now:
        given = "" if attribute == name else f", alias={literal(name)}"
        annotation = f"IsoTime = Field(default_factory=lambda: now({literal(form)}){given})"
    schema: dict[str, Any] = {"type": parameter.type, "title": name.replace("_", " ").capitalize()}
    empty = "The time of the read, if it is left out." if until_now else ""
    description = " ".join(part for part in (parameter.description, empty, told) if part)
    about = {"description": description, "enum": list(enum), "default": default}
    about |= _FORMS.get(form or "", {}) if not enum else {}
    schema |= {key: value for key, value in about.items() if value not in ("", [], None)}
    if secret:
        schema["airbyte_secret"] = True
    return Field(name, attribute, annotation, schema, required)


def _type(parameter: Parameter, enum: tuple[str, ...], form: str | None) -> str:
    if enum:
        return f"Literal[{', '.join(map(literal, enum))}]"
    return "IsoTime" if form in _FORMS else _TYPES[parameter.type]


def _default(parameter: Parameter) -> str | int | float | bool | None:
    """The declared default, if it is of the declared type and among the allowed values."""
    default = parameter.default
    if parameter.type == "string":
        allowed = isinstance(default, str) and (not parameter.enum or default in parameter.enum)
        return default if allowed else None
    if parameter.type == "boolean":
        return default if isinstance(default, bool) else None
    numbers = int if parameter.type == "integer" else (int, float)
    return default if isinstance(default, numbers) and not isinstance(default, bool) else None


def uses_type(fields: Iterable[Field], name: str) -> bool:
    """Whether a field is of the type that the configuration's module calls ``name``."""
    return any(field.annotation.split(" ")[0] == name for field in fields)


def in_all(settings: Iterable[Setting], location: str, requests: Mapping[str, Request]) -> tuple[Setting, ...]:
    """The settings that every request carries in the query or as a header."""
    return tuple(
        setting
        for setting in settings
        if setting.parameter.location == location and len(_carriers(setting, requests)) == len(requests)
    )


def in_some(
    settings: Iterable[Setting], location: str, stream: str, requests: Mapping[str, Request]
) -> dict[str, str]:
    """What the request of one stream carries besides: name on the wire -> the variable in braces."""
    found = {}
    for setting in settings:
        carriers = _carriers(setting, requests)
        if setting.parameter.location == location and stream in carriers and len(carriers) < len(requests):
            found[setting.parameter.target] = f"{{{setting.variable}}}"
    return found


def _carriers(setting: Setting, requests: Mapping[str, Request]) -> list[str]:
    """Streams whose requests carry the setting at its own place: not those that name it elsewhere."""
    parameter = setting.parameter
    return [
        stream
        for stream, request in requests.items()
        if applies(parameter, stream) and parameter.target not in named_variables(request)
    ]


def variables_for(settings: Iterable[Setting], stream: str) -> dict[str, str]:
    """Target -> the variable that stands for it in this stream's request, where the two differ."""
    return {
        setting.parameter.target: setting.variable
        for setting in settings
        if applies(setting.parameter, stream) and setting.variable != setting.parameter.target
    }
