"""The one home of fees, slippage and their multiples."""
