"""What the sample CRM holds: always the same, so that a reader can be compared with it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

Record = dict[str, Any]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "sample-crm-token"  # noqa: S105 - the sample's own, printed in its help


def _time(minutes: int) -> str:
    return (EPOCH + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _contact(n: int) -> Record:
    return {
        "id": n,
        "email": f"person{n}@example.com",
        "first_name": f"First{n}",
        "last_name": f"Last{n}",
        "company_id": f"co_{n % 23 + 1}" if n % 7 else None,
        "tags": ["lead", "newsletter"][: n % 3],
        "created_at": _time(n),
        "updated_at": _time(n * 3 // 2),
    }


def _company(n: int) -> Record:
    return {
        "id": f"co_{n}",
        "name": f"Company {n}",
        "domain": f"company{n}.example",
        "employees": n * 11,
        "address": {"city": ("Oslo", "Porto", "Graz")[n % 3], "country": ("NO", "PT", "AT")[n % 3]},
    }


def _deal(n: int) -> Record:
    return {
        "id": f"deal_{n:04}",
        "title": f"Deal {n}",
        "amount": n * 99.5,
        "stage": ("open", "won", "lost")[n % 3],
        "company_id": f"co_{n % 23 + 1}",
        "updated_at": _time(n * 20),
    }


def _user(n: int) -> Record:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"user{n}.sample-crm.example")),
        "name": f"User {n}",
        "role": "member" if n else "admin",
    }


@cache
def collections() -> dict[str, list[Record]]:
    """Collection -> its records, in the order in which the API lists them.

    The sizes are chosen at the edges of pages: 101 contacts are two full pages of 50 and one more, 50 companies
    are exactly two pages of 25, some companies have no notes and some exactly one page of them.
    """
    companies = [_company(n) for n in range(1, 51)]
    deals = [_deal(n) for n in range(1, 32)]
    return {
        "contacts": [_contact(n) for n in range(1, 102)],
        "companies": companies,
        "notes": [
            {
                "id": f"{company['id']}_note_{k}",
                "company_id": company["id"],
                "text": f"Note {k}",
                "created_at": _time(k),
            }
            for n, company in enumerate(companies)
            for k in range((0, 1, 20, 21)[n] if n < 4 else n % 3)
        ],
        "deals": deals,
        "activities": [
            {
                "id": n * 100 + k,
                "deal_id": deal["id"],
                "kind": ("call", "mail", "meeting")[k % 3],
                "at": _time(n * 10 + k),
            }
            for n, deal in enumerate(deals, start=1)
            for k in range((0, 10, 11)[n] if n < 3 else n % 4)
        ],
        "tasks": [
            {
                "id": n,
                "title": f"Task {n}",
                "done": n % 2 == 0,
                "due": f"2026-03-{n % 28 + 1:02}" if n % 5 else None,
            }
            for n in range(1, 82)
        ],
        "users": [_user(n) for n in range(7)],
    }
