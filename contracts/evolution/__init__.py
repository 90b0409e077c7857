"""What each fact changes in the state of a pipeline: called by `contracts.pipeline.evolve`. Pure.

Facts open obligations (tasks of agents, choices of the router), answers and decisions close them. Whatever closes
nothing that is open changes nothing: late, repeated and unasked-for facts are harmless by construction, and no set
of known ids has to be kept.
"""

from contracts.evolution import answers, life  # noqa: F401 - they register their handlers
from contracts.evolution.decisions import REQUESTS
from contracts.evolution.handlers import HANDLERS, Changes, open_task

__all__ = ["HANDLERS", "REQUESTS", "Changes", "open_task"]
