"""What a reader gets of a run's document: a summary for machines, a page, and a text for the terminal."""
