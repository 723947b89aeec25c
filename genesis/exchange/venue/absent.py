"""Answers about what the real exchange has and this one has not: vaults, staking, auctions."""

from __future__ import annotations

from typing import Any

_NOTHING = "0.0"
_AUCTION: dict[str, Any] = {
    "startTimeSeconds": 0,
    "durationSeconds": 0,
    "startGas": _NOTHING,
    "currentGas": None,
    "endGas": None,
}
NOBODY_HAS: dict[str, Any] = {
    "delegations": [],
    "delegatorHistory": [],
    "delegatorRewards": [],
    "delegatorSummary": {
        "delegated": _NOTHING,
        "undelegated": _NOTHING,
        "totalPendingWithdrawal": _NOTHING,
        "nPendingWithdrawals": 0,
    },
    "userVaultEquities": [],
    "leadingVaults": [],
    "vaultSummaries": [],
    "vaultDetails": None,
    "userToMultiSigSigners": None,
    "userDexAbstraction": None,
    "perpDeployAuctionStatus": _AUCTION,
    "spotDeployState": {
        "states": [],
        "gasAuction": _AUCTION,
    },
    "perpsAtOpenInterestCap": [],
    "liquidatable": [],
    "isVip": False,
    "gossipRootIps": [],
    "maxMarketOrderNtls": [],
    "legalCheck": {"ipAllowed": True, "acceptedTerms": True, "userAllowed": True},
    "preTransferCheck": {
        "fee": _NOTHING,
        "isSanctioned": False,
        "userExists": True,
        "userHasSentTx": True,
    },
}
