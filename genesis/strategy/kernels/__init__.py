"""Block kernels: numba functions that read a block of bars and carry their state in floats.

Contract of every kernel here, relied on by research (one block) and live trading (one bar):

- Cutting a series into blocks anywhere gives the same bits as one block.
- A bar with an invalid input (NaN; -1 for truth) gives an invalid output and does not touch the
  state, so a gap in the data is as if the bar did not exist.
- No output is infinite: what has no finite value is NaN.
- State starts as zeros. Ring buffers live at the end of the state array.
- Running sums are recomputed from the ring once per turn, relative to a recent value, so that
  rounding does not accumulate and a flat window gives its exact mean and a deviation of zero.

A kernel calls only functions of its own file, because numba's disk cache does not notice changes
in other files.
"""
