"""What can be seen from outside (infra/decisions/0021): metrics, spans, and whose work a line of the log is about.

Nothing here may stop or slow down work: what cannot be told is dropped and counted. OpenTelemetry's SDK is loaded
by `export` alone, and that where ``CONNECTORS_TRACING=true``.
"""
