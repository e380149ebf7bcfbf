"""A comparison for people: table, figures, page."""
