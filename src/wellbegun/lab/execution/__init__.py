"""Where trainings run, in which order, and where their results are kept."""
