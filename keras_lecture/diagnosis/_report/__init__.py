"""The forms of a run's document for its readers: a summary for machines, a page, and a text for the terminal."""
