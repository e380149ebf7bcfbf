"""Published results, measured again: each with its page in docs/anchors/."""
