"""`make demo-claude`: the whole graph with the Claude engine, every repair loop included, without key and network.

Agents, bus, router, sandbox, connector and the CRM that judges it are real, and so are the faults in the code.
Only Claude is not: in its place a scripted Messages API answers (`tests.support.claude_server`), by pure functions
of what it is asked (`script`). What has to happen is in `story`.
"""
