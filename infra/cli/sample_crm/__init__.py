"""A small CRM with an API of its own: what the demo builds a connector for."""
