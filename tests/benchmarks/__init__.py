"""Ratios against baselines measured in the same process, interleaved. Run as modules; pytest does not collect them."""
