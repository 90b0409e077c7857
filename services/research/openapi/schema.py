"""The schema of a stream's records, open where real data is. Pure."""

from __future__ import annotations

from typing import Any

from contracts.blueprint import Candidate, Gap
from services.research.openapi.endpoint import Endpoint, type_of
from services.research.openapi.examples import INFERRED
from services.research.openapi.ranking import candidate
from services.research.openapi.words import vocabulary

OPEN_OBJECT: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}
_KEPT_FORMATS = vocabulary("date-time date time uri email uuid")
_DESCRIPTION_LENGTH = 200


def schema_candidate(
    endpoint: Endpoint, record: dict[str, Any], path: tuple[str, ...]
) -> tuple[Candidate[dict[str, Any]], Gap | None]:
    """Types, formats and structure only: real APIs send nulls, new members and values outside of enumerations, so
    nothing that could refuse a record is kept. Undescribed records get an open object and a gap."""
    where = ".".join(path) or "(root)"
    if not record.get("properties"):
        evidence = endpoint.evidence(f"the records at {where} are not described")
        gap = Gap(subject="json_schema", reason="the document does not describe the records", evidence=(evidence,))
        return candidate(OPEN_OBJECT, 0.2, evidence), gap
    schema = _open(record, nullable=False)
    if endpoint.from_example or record.get(INFERRED):
        note = endpoint.response_evidence(path or ("(root)",), "inferred from an example")
        return candidate(schema, 0.6, note), None
    return candidate(schema, 0.9, endpoint.response_evidence(path or ("(root)",), "declared schema")), None


def _open(schema: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    declared = schema.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    if kinds not in ([], ["null"]):  # an example's null says nothing of what else may be there
        if nullable and "null" not in kinds:
            kinds = ["null", *kinds]
        out["type"] = kinds[0] if len(kinds) == 1 else sorted(kinds, key=lambda kind: kind != "null")
    if schema.get("format") in _KEPT_FORMATS and type_of(schema) == "string":
        out["format"] = schema["format"]
    if isinstance(text := schema.get("description"), str) and text.strip():
        out["description"] = " ".join(text.split())[:_DESCRIPTION_LENGTH]
    if properties := schema.get("properties"):
        out["properties"] = {name: _open(member, nullable=True) for name, member in properties.items()}
    if isinstance(items := schema.get("items"), dict):
        out["items"] = _open(items, nullable=True)
    if isinstance(values := schema.get("additionalProperties"), dict):
        out["additionalProperties"] = _open(values, nullable=True)
    elif not properties and type_of(schema) == "object":
        out["additionalProperties"] = True
    return out
