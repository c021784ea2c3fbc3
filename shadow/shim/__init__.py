"""What runs in the app's process: connection, cursor, transactions, routing."""
