"""Single trainings: what one is, what it showed, how it is run."""
