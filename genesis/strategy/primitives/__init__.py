"""The allow-list of primitives: name, operands, kernel, warm-up, cost and wording of each.

Importing this package registers them in `genesis.strategy.node.OPS`.
"""

from genesis.strategy.primitives import bars, conditions, elementwise, rolling
from genesis.strategy.primitives.declare import MAX_WINDOW, SETTLED

__all__ = ["MAX_WINDOW", "SETTLED", "bars", "conditions", "elementwise", "rolling"]
