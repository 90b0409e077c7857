"""The Claude engine's plumbing (infra/decisions/0018): what an agent asks a model for, and what keeps each turn.

Nothing here imports the ``anthropic`` package before a conversation begins: a service without a key never does.
"""

from infra.runtime.claude.brief import AgentTool, Brief, WebFetch, WebSearch

__all__ = ["AgentTool", "Brief", "WebFetch", "WebSearch"]
