"""`connectors doctor`: is this machine fit? `look` looks it up, `judge` says what it means, `show` prints it."""
