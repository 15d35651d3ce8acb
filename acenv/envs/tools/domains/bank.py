"""Bank accounts. Money that was transferred stays transferred."""

from __future__ import annotations

from typing import Annotated, Any

from acenv.envs.tools.tooling import Record, ToolError, World, tool

Amount = Annotated[int, {"minimum": 1, "maximum": 1_000_000}]


def _find(world: World, account: str) -> Record:
    record = world.table("accounts").get(account)
    if record is None:
        raise ToolError(f"no account {account[:60]}. See list_accounts.")
    return record


def get_balance(world: World, account: str) -> Any:
    """Get the balance of an account."""
    return {"balance": _find(world, account)["balance"]}


def list_accounts(world: World, owner: str) -> Any:
    """List the accounts of a person."""
    rows = [{"account": k, "kind": a["kind"]} for k, a in world.table("accounts").items() if a["owner"] == owner]
    if not rows:
        raise ToolError(f"nobody named {owner[:60]} has an account.")
    return {"accounts": rows}


def transfer_money(world: World, source: str, target: str, amount: Amount) -> Any:
    """Transfer money from one account to another."""
    payer, payee = _find(world, source), _find(world, target)
    if source == target:
        raise ToolError("source and target are the same account.")
    if payer["balance"] < amount:
        raise ToolError(f"{source} holds only {payer['balance']}.")
    payer["balance"] -= amount
    payee["balance"] += amount
    return {"ok": True}


TOOLS = (tool(get_balance), tool(list_accounts), tool(transfer_money, writes=True))
