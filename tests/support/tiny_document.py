"""The OpenAPI document of the API that `tests.support.tiny_connector` reads."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _list(operation: str, items: str, more: Json, *parameters: Json) -> Json:
    properties = {items: {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}, **more}
    schema = {"type": "object", "required": list(properties), "properties": properties}
    answer = {"description": "ok", "content": {"application/json": {"schema": schema}}}
    return {"get": {"operationId": operation, "parameters": list(parameters), "responses": {"200": answer}}}


def _query(name: str, words: str = "", **schema: Any) -> Json:
    return {"name": name, "in": "query", "description": words, "schema": schema}


def document() -> Json:
    """Contacts by page number, deals by cursor, notes of each contact by offset; a bearer token."""
    thing = {
        "type": "object",
        "required": ["id", "name", "updated_at"],
        "properties": {
            "id": {"type": "integer", "description": "Unique identifier"},
            "name": {"type": "string"},
            "updated_at": {"type": "string", "format": "date-time"},
        },
    }
    contact = {"name": "contact_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Tiny CRM", "version": "1"},
        "servers": [{"url": "https://tiny.example/v1"}],
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Thing": thing},
        },
        "paths": {
            "/contacts": _list(
                "listContacts",
                "data",
                {"has_more": {"type": "boolean"}},
                _query("page", "Page number", type="integer", default=1),
                _query("per_page", "Records per page", type="integer", default=5, maximum=100),
                _query("updated_since", "Only contacts updated since", type="string", format="date-time"),
            ),
            "/deals": _list(
                "listDeals",
                "items",
                {"next": {"type": "string", "nullable": True, "description": "Cursor of the next page"}},
                _query("cursor", "Cursor of the page", type="string"),
                _query("limit", "Records per page", type="integer", default=4),
            ),
            "/contacts/{contact_id}/notes": _list(
                "listNotes",
                "notes",
                {"total": {"type": "integer"}},
                contact,
                _query("offset", "Records to skip", type="integer", default=0),
            ),
        },
    }
