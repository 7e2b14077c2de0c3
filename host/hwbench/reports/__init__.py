"""Results for people: terminal tables and one-file HTML."""
