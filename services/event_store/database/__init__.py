"""The SQL database: its tables, how facts come in, how questions are answered. Blocking; run it in threads."""
