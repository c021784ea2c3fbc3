"""What runs in the app's process: connections and cursors that are sqlite3's own, with writes recorded in SQLite's own
transaction and statements sent to whichever database is primary. Apps come in through `shadow.sqlite3`."""
