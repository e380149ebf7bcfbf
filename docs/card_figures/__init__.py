"""One figure for each page in docs/methods/, drawn as SVG by code; tests/test_docs.py writes and checks them."""
