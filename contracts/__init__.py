"""What crosses the wire, and nothing else: pydantic models and pure functions, no I/O."""
