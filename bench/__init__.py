"""Figures: how fast, how soon, in how much memory (docs/bench.md). Nothing here is installed."""
