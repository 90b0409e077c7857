"""``/``: a page to watch pipelines. One static file, no script or style from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

HTML = (Path(__file__).parent / "index.html").read_text(encoding="utf-8")


def _hashes(tag: str) -> str:
    """CSP sources for the page's own inline ``tag`` elements."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", HTML, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


POLICY = (
    f"default-src 'none'; script-src {_hashes('script')}; style-src {_hashes('style')}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(HTML, headers={"Content-Security-Policy": POLICY})
