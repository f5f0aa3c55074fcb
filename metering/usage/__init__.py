"""Usage windows: what the samples of a series amount to in each hour and day (docs/usage.md).

rules:   what the configuration asks for
labels:  from tables of samples to numbers, and back
entries: what each sample adds to which window
fold:    entries added up to rows, rows of a period to rows of a longer one
series:  what is remembered of each live series
windows: all of it, moved by samples and ticks
again:   worked out once more from stored samples
"""
