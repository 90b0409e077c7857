"""``/``: a page to watch pipelines. One answer, no script or style from anywhere else."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_HERE / "page.js").read_text(encoding="utf-8")
HTML = (
    (_HERE / "index.html")
    .read_text(encoding="utf-8")
    .replace("/* page.css */", _STYLE)
    .replace("/* page.js */", _SCRIPT)
)


def _source(content: str) -> str:
    """The CSP source that allows exactly this inline element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The last two: a browser that knows them refuses to make markup or script of a string, even by mistake."""


@router.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(HTML, headers={"Content-Security-Policy": POLICY})
