"""The Claude engine's plumbing (infra/decisions/0018).

What an agent needs is in `brief` (what it asks for) and `announce` (which models it has); it gets the rest as
`infra.runtime.agent.Tools.model`. Nothing here loads the ``anthropic`` package before a conversation begins, and
without a key nothing is loaded but `announce`: a service's start takes as long as without any of this.
"""
